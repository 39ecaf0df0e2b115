//! The picture for a terminal.

use super::layout::{Block, Drawing, Item};

/// Needs that are named in a line; more are counted.
const NEEDS_SHOWN: usize = 8;
const NAME_WIDTH_MAX: usize = 40;

pub(super) fn draw(pipeline: &str, drawing: &Drawing) -> String {
    let stages: usize = drawing.blocks.iter().map(|it| it.cells.len()).sum();
    let mut text =
        format!("{pipeline}: {}, {} deep\n", counted(stages, "stage"), drawing.layers.len());
    let width = drawing.blocks.iter().map(|it| label(it).chars().count()).max().unwrap_or(0);
    let number_width = drawing.layers.len().to_string().len();
    for (depth, layer) in drawing.layers.iter().enumerate() {
        // In the order of the file: a list has no lines that could cross.
        let mut items = layer.clone();
        items.sort_unstable();
        let blocks: Vec<_> = items.iter().filter_map(|it| block(drawing, *it)).collect();
        for (at, block) in blocks.iter().enumerate() {
            let number = if at == 0 { (depth + 1).to_string() } else { String::new() };
            let branch = match (at == 0, at + 1 == blocks.len()) {
                (true, true) => '─',
                (true, false) => '┬',
                (false, false) => '├',
                (false, true) => '└',
            };
            let line = format!(
                "{number:>number_width$} {branch} {:width$}{}{}",
                label(block),
                needs(drawing, block),
                block.kind.as_ref().map(|it| format!("  ({it})")).unwrap_or_default(),
                width = width.min(NAME_WIDTH_MAX),
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

fn block(drawing: &Drawing, item: usize) -> Option<&Block> {
    match drawing.items.get(item)? {
        Item::Block(block) => drawing.blocks.get(*block),
        Item::Bend => None,
    }
}

fn label(block: &Block) -> String {
    match block.cells.len() {
        0 | 1 => block.name.clone(),
        cells => format!("{} ×{cells}", block.name),
    }
}

fn needs(drawing: &Drawing, block: &Block) -> String {
    let names: Vec<_> = block
        .needs
        .iter()
        .filter_map(|need| {
            let name = &drawing.blocks.get(need.block)?.name;
            Some(if need.optional { format!("{name}?") } else { name.clone() })
        })
        .collect();
    let shown = names.iter().take(NEEDS_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NEEDS_SHOWN) {
        _ if names.is_empty() => String::new(),
        0 => format!("  ← {shown}"),
        more => format!("  ← {shown} and {more} more"),
    }
}

pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

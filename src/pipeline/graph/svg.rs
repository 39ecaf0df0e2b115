//! The picture for a page. It brings colours for light and dark; a page overrides them with the custom
//! properties `--graph-…`. Renderers that know no custom properties take the light ones.

use std::fmt::Write as _;

use super::layout::{Block, Drawing, Item, Line, Neighbors};
use super::text::counted;
use crate::model::StageStatus;

mod place;

use place::{Place, Places};

const STYLE: &str = include_str!("svg/style.css");

const HEIGHT: f64 = 34.0;
const MARGIN: f64 = 16.0;
const COLUMN_GAP: f64 = 52.0;
const ROW_GAP: f64 = 14.0;
const BEND_GAP: f64 = 8.0;
const PADDING: f64 = 14.0;
const ICON: f64 = 20.0;
/// Average advance of a sans-serif letter at 13 px, rounded up.
const LETTER: f64 = 7.6;
const NAME_LETTERS_MAX: usize = 32;

/// Draws; `statuses` are in the order of the plan.
pub(super) fn draw(pipeline: &str, drawing: &Drawing, statuses: Option<&[StageStatus]>) -> String {
    let icon = if statuses.is_some() { ICON } else { 0.0 };
    let widths: Vec<_> = drawing.blocks.iter().map(|it| width(it) + icon).collect();
    let places = Places::of(drawing, &widths);
    let mut svg = opening(pipeline, drawing, &places);
    for line in &drawing.lines {
        draw_line(&mut svg, line, &places, statuses.map(|it| status_of_source(drawing, line, it)));
    }
    for (item, place) in places.items.iter().enumerate() {
        if let Some(Item::Block(block)) = drawing.items.get(item)
            && let Some(block) = drawing.blocks.get(*block)
        {
            draw_block(&mut svg, block, place, statuses);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn opening(pipeline: &str, drawing: &Drawing, places: &Places) -> String {
    let stages = drawing.blocks.iter().map(|it| it.cells.len()).sum();
    let title = escaped(&format!("Graph of {pipeline}: {}", counted(stages, "stage")));
    let (width, height) = (places.width, places.height);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"graph\" role=\"img\" \
         aria-label=\"{title}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\">\n<title>{title}</title>\n<style>{STYLE}</style>\n"
    )
}

/// Straight through the columns it passes, and in a curve between them.
fn draw_line(svg: &mut String, line: &Line, places: &Places, source: Option<StageStatus>) {
    let mut path = String::new();
    let mut last: Option<Place> = None;
    for place in line.items.iter().filter_map(|it| places.items.get(*it).copied()) {
        if let Some(from) = last {
            let (start, end) = (from.x + from.width, place.x);
            let bend = f64::midpoint(start, end);
            if path.is_empty() {
                path = format!("M{start:.1} {:.1}", from.y);
            }
            let (y, to) = (from.y, place.y);
            write_to(
                &mut path,
                format_args!("H{start:.1}C{bend:.1} {y:.1} {bend:.1} {to:.1} {end:.1} {to:.1}"),
            );
        }
        last = Some(place);
    }
    let optional = if line.optional { " optional" } else { "" };
    let done = source.filter(|it| it.is_finished()).map_or("", |_| " done");
    write_to(svg, format_args!("<path class=\"line{optional}{done}\" d=\"{path}\"/>\n"));
}

fn draw_block(svg: &mut String, block: &Block, place: &Place, statuses: Option<&[StageStatus]>) {
    let shown = statuses.map(|it| status_of(block, it));
    let class = shown.map_or("", StageStatus::as_str);
    let shape = if block.kind.as_deref() == Some("approval") { HEIGHT / 2.0 } else { 7.0 };
    let (x, y, width) = (place.x, place.y - HEIGHT / 2.0, place.width);
    write_to(
        svg,
        format_args!(
            "<g class=\"stage {class}\"><title>{}</title>",
            escaped(&told(block, statuses))
        ),
    );
    if block.cells.len() > 1 {
        let (x, y) = (x + 3.0, y + 3.0);
        write_to(
            svg,
            format_args!(
                "<rect class=\"behind\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" rx=\"{shape}\"/>"
            ),
        );
    }
    write_to(
        svg,
        format_args!(
            "<rect class=\"box\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" rx=\"{shape}\"/>"
        ),
    );
    let mut text_x = x + PADDING;
    if let Some(status) = shown {
        draw_icon(svg, status, x + PADDING + 4.0, place.y);
        text_x += ICON;
    }
    let text_y = place.y + 4.5;
    write_to(
        svg,
        format_args!(
            "<text x=\"{text_x:.1}\" y=\"{text_y:.1}\">{}</text>",
            escaped(&shown_name(block))
        ),
    );
    if let Some(count) = cell_count(block) {
        let end = x + width - PADDING;
        write_to(
            svg,
            format_args!("<text class=\"count\" x=\"{end:.1}\" y=\"{text_y:.1}\">{count}</text>"),
        );
    }
    svg.push_str("</g>\n");
}

/// Each state has a shape of its own, so that nobody has to tell colours apart.
fn draw_icon(svg: &mut String, status: StageStatus, x: f64, y: f64) {
    let drawn = match status {
        StageStatus::Passed => "<path d=\"M-5 0l3.5 3.5L5-4\"/>",
        StageStatus::Failed => "<path d=\"M-4-4L4 4M4-4L-4 4\"/>",
        StageStatus::Running => "<path d=\"M0-5a5 5 0 1 1-5 5\"/><circle class=\"dot\" r=\"1.6\"/>",
        StageStatus::Delayed => "<circle r=\"5\"/><path d=\"M0-2.5V0L2 1.5\"/>",
        StageStatus::Waiting => "<path d=\"M-2.5-4V4M2.5-4V4\"/>",
        StageStatus::Skipped => "<path d=\"M-4-4L0 0L-4 4M1-4L5 0L1 4\"/>",
        StageStatus::Cancelled => "<circle r=\"5\"/><path d=\"M-3.5 3.5L3.5-3.5\"/>",
        StageStatus::Ready => "<circle r=\"5\"/><circle class=\"dot\" r=\"1.6\"/>",
        StageStatus::Pending => "<circle r=\"5\"/>",
    };
    write_to(
        svg,
        format_args!("<g class=\"icon\" transform=\"translate({x:.1} {y:.1})\">{drawn}</g>"),
    );
}

fn width(block: &Block) -> f64 {
    let count = cell_count(block).map_or(0.0, |it| letters(&it) + 8.0);
    letters(&shown_name(block)) + count + 2.0 * PADDING
}

#[expect(clippy::cast_precision_loss, reason = "at most a few letters")]
fn letters(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER
}

fn shown_name(block: &Block) -> String {
    if block.name.chars().count() <= NAME_LETTERS_MAX {
        return block.name.clone();
    }
    block.name.chars().take(NAME_LETTERS_MAX - 1).chain(['…']).collect()
}

fn cell_count(block: &Block) -> Option<String> {
    (block.cells.len() > 1).then(|| format!("×{}", block.cells.len()))
}

/// What a screen reader and the tip of a pointer say.
fn told(block: &Block, statuses: Option<&[StageStatus]>) -> String {
    let word = |at: usize| statuses.and_then(|it| it.get(at)).map(|it| it.as_str());
    let kind = block.kind.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
    let cell = |at: usize, key: &str| match word(at) {
        Some(word) => format!("{key}: {word}"),
        None => key.to_owned(),
    };
    match block.cells.as_slice() {
        [(at, key)] => format!("{}{kind}", cell(*at, key)),
        cells => {
            let lines: Vec<_> = cells.iter().map(|(at, key)| cell(*at, key)).collect();
            format!("{}{kind}, {}\n{}", block.name, counted(cells.len(), "cell"), lines.join("\n"))
        }
    }
}

/// The state of a whole matrix: what most wants to be seen.
fn status_of(block: &Block, statuses: &[StageStatus]) -> StageStatus {
    let urgency = |status: StageStatus| match status {
        StageStatus::Failed => 8,
        StageStatus::Cancelled => 7,
        StageStatus::Running => 6,
        StageStatus::Delayed => 5,
        StageStatus::Waiting => 4,
        StageStatus::Ready => 3,
        StageStatus::Pending => 2,
        StageStatus::Passed => 1,
        StageStatus::Skipped => 0,
    };
    let cells = block.cells.iter().filter_map(|(stage, _)| statuses.get(*stage).copied());
    cells.max_by_key(|it| urgency(*it)).unwrap_or(StageStatus::Pending)
}

fn status_of_source(drawing: &Drawing, line: &Line, statuses: &[StageStatus]) -> StageStatus {
    let source = line.items.first().and_then(|it| drawing.blocks.get(*it));
    source.map_or(StageStatus::Pending, |it| status_of(it, statuses))
}

/// Text for XML; signs that XML 1.0 cannot carry are replaced.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(sign),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ if sign.is_control() => safe.push('\u{fffd}'),
            _ => safe.push(sign),
        }
    }
    safe
}

/// Writing to a `String` cannot fail.
fn write_to(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).unwrap_or_default();
}

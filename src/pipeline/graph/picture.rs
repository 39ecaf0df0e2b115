//! Where everything of a picture is, in the units of an SVG, for whoever draws it.

use std::fmt::Write as _;

use super::layout::{Drawing, Item, Line};
use super::place::{Place, Places};
use crate::model::StageIndex;

/// Sizes that all pictures of one kind share.
#[derive(Debug, Clone, Copy)]
pub struct Measures {
    /// Height of a box.
    pub box_height: f64,
    /// Between two columns of boxes.
    pub column_gap: f64,
    /// Between two boxes of a column.
    pub row_gap: f64,
    /// Half of what a line keeps clear of another that passes the same column.
    pub bend_gap: f64,
    /// Around everything.
    pub margin: f64,
}

/// A picture: columns from left to right, each box right of all that it needs.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The boxes, in the order of the plan.
    pub boxes: Vec<PictureBox>,
    /// The lines between them.
    pub lines: Vec<PictureLine>,
    /// Width of the whole.
    pub width: f64,
    /// Height of the whole.
    pub height: f64,
}

/// A stage, or all cells of its matrix.
#[derive(Debug, Clone, Default)]
pub struct PictureBox {
    /// Its name: that of the stage, or the key of a cell that stands for itself.
    pub name: String,
    /// What it is, when it is no container: `approval`, `builtin/eval`.
    pub kind: Option<String>,
    /// The stages it stands for.
    pub stages: Vec<StageIndex>,
    /// Its column, from 0.
    pub column: usize,
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// A need, drawn.
#[derive(Debug, Clone)]
pub struct PictureLine {
    /// Place of the box that is needed.
    pub from: usize,
    /// Place of the box that waits for it.
    pub to: usize,
    /// Whether a skipped one is fine.
    pub is_optional: bool,
    /// The way, as the `d` of an SVG path.
    pub path: String,
}

impl Picture {
    /// Puts a drawing into measures; `width` says how wide a box wants to be.
    pub(super) fn of(
        drawing: &Drawing,
        measures: &Measures,
        width: &dyn Fn(&PictureBox) -> f64,
    ) -> Self {
        let stage = |(at, _): &(usize, String)| StageIndex(u32::try_from(*at).unwrap_or(u32::MAX));
        let empty = drawing.blocks.iter().map(|it| PictureBox {
            name: it.name.clone(),
            kind: it.kind.clone(),
            stages: it.cells.iter().map(stage).collect(),
            height: measures.box_height,
            ..PictureBox::default()
        });
        let mut boxes: Vec<_> = empty.collect();
        let widths: Vec<_> = boxes.iter().map(width).collect();
        let places = Places::of(drawing, &widths, measures);
        for (column, item) in
            drawing.layers.iter().enumerate().flat_map(|(at, it)| it.iter().map(move |it| (at, it)))
        {
            if let Some(Item::Block(block)) = drawing.items.get(*item)
                && let (Some(slot), Some(place)) = (boxes.get_mut(*block), places.items.get(*item))
            {
                (slot.column, slot.x, slot.width) = (column, place.x, place.width);
                slot.y = place.y - measures.box_height / 2.0;
            }
        }
        let lines = drawing.lines.iter().filter_map(|it| PictureLine::of(it, &places)).collect();
        Self { boxes, lines, width: places.width, height: places.height }
    }
}

impl PictureLine {
    /// Straight through the columns it passes, and in a curve between them.
    fn of(line: &Line, places: &Places) -> Option<Self> {
        let mut path = String::new();
        let mut last: Option<Place> = None;
        for place in line.items.iter().filter_map(|it| places.items.get(*it).copied()) {
            if let Some(from) = last {
                let (start, end) = (from.x + from.width, place.x);
                let bend = f64::midpoint(start, end);
                if path.is_empty() {
                    path = format!("M{start:.0} {:.0}", from.y);
                }
                let (y, to) = (from.y, place.y);
                // Writing to a `String` cannot fail.
                write!(path, "H{start:.0}C{bend:.0} {y:.0} {bend:.0} {to:.0} {end:.0} {to:.0}")
                    .unwrap_or_default();
            }
            last = Some(place);
        }
        // The first items of a drawing are its boxes.
        let (from, to) = (*line.items.first()?, *line.items.last()?);
        Some(Self { from, to, is_optional: line.optional, path })
    }
}

//! The measures of a picture: columns as wide as their widest box, and heights that pull each item
//! towards its neighbours.

use super::layout::{Drawing, Item};
use super::order::Neighbors;
use super::picture::Measures;

const PULLS: usize = 8;

/// Where an item is: its left edge, its middle height, and its width.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
}

/// Where everything is, by item.
pub(super) struct Places {
    pub(super) items: Vec<Place>,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Places {
    pub(super) fn of(drawing: &Drawing, widths: &[f64], measures: &Measures) -> Self {
        let mut places = vec![Place::default(); drawing.items.len()];
        let right = set_columns(&mut places, drawing, (widths, measures));
        let neighbors = Neighbors::of(&drawing.lines, drawing.items.len());
        let gaps: Vec<_> = drawing.layers.iter().map(|it| gaps(drawing, it, measures)).collect();
        for pull in 0..PULLS {
            if pull % 2 == 0 {
                for (layer, gaps) in drawing.layers.iter().zip(&gaps) {
                    set_heights(&mut places, (layer, gaps), [&neighbors.above, &neighbors.below]);
                }
            } else {
                for (layer, gaps) in drawing.layers.iter().zip(&gaps).rev() {
                    set_heights(&mut places, (layer, gaps), [&neighbors.below, &neighbors.above]);
                }
            }
        }
        let margin = measures.margin;
        let top = places.iter().map(|it| it.y).fold(f64::INFINITY, f64::min);
        let bottom = places.iter().map(|it| it.y).fold(f64::NEG_INFINITY, f64::max);
        if places.is_empty() {
            return Self { items: places, width: 2.0 * margin, height: 2.0 * margin };
        }
        for place in &mut places {
            place.y += margin + measures.box_height / 2.0 - top;
        }
        let height = bottom - top + measures.box_height + 2.0 * margin;
        Self { items: places, width: right + margin, height }
    }
}

/// Sets left edges and widths; answers where the last column ends.
fn set_columns(
    places: &mut [Place],
    drawing: &Drawing,
    (widths, measures): (&[f64], &Measures),
) -> f64 {
    let mut left = measures.margin;
    for layer in &drawing.layers {
        let width_of = |item: &usize| match drawing.items.get(*item) {
            Some(Item::Block(block)) => widths.get(*block).copied().unwrap_or_default(),
            Some(Item::Bend) | None => 0.0,
        };
        let width = layer.iter().map(width_of).fold(0.0, f64::max);
        for item in layer {
            if let Some(place) = places.get_mut(*item) {
                (place.x, place.width) = (left, width);
            }
        }
        left += width + measures.column_gap;
    }
    left - measures.column_gap
}

/// What the items of a layer keep clear of each other.
fn gaps(drawing: &Drawing, layer: &[usize], measures: &Measures) -> Vec<f64> {
    let half = |item: &usize| match drawing.items.get(*item) {
        Some(Item::Block(_)) => measures.box_height.midpoint(measures.row_gap),
        Some(Item::Bend) | None => measures.bend_gap,
    };
    layer.iter().zip(layer.iter().skip(1)).map(|(one, next)| half(one) + half(next)).collect()
}

/// Moves the items of a layer to the mean of their neighbours on the first side, else the second, as far as
/// order and gaps allow.
fn set_heights(places: &mut [Place], (layer, gaps): (&[usize], &[f64]), near: [&[Vec<usize>]; 2]) {
    let wanted: Vec<f64> = layer.iter().map(|it| wanted(places, *it, near)).collect();
    let down = packed(wanted.iter().copied(), gaps.iter().copied());
    let up = packed(wanted.iter().rev().map(|it| -it), gaps.iter().rev().copied());
    for (item, (low, high)) in layer.iter().zip(down.iter().zip(up.iter().rev())) {
        if let Some(place) = places.get_mut(*item) {
            place.y = f64::midpoint(*low, -high);
        }
    }
}

/// Each value at least a gap behind the one before. The mean of packing from both ends keeps the gaps
/// and leans to no side.
fn packed(wanted: impl Iterator<Item = f64>, gaps: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut packed: Vec<f64> = Vec::new();
    for (value, gap) in wanted.zip(std::iter::once(0.0).chain(gaps)) {
        let free = packed.last().map_or(f64::NEG_INFINITY, |it| it + gap);
        packed.push(value.max(free));
    }
    packed
}

#[expect(clippy::cast_precision_loss, reason = "a layer has few neighbours")]
fn wanted(places: &[Place], item: usize, near: [&[Vec<usize>]; 2]) -> f64 {
    let mut sides = near.iter().filter_map(|it| it.get(item)).filter(|it| !it.is_empty());
    let Some(near) = sides.next() else { return places.get(item).map_or(0.0, |it| it.y) };
    near.iter().filter_map(|it| places.get(*it)).map(|it| it.y).sum::<f64>() / near.len() as f64
}

//! The measures of a picture: columns as wide as their widest box, and heights that pull each item
//! towards its neighbours.

use super::{BEND_GAP, COLUMN_GAP, Drawing, HEIGHT, Item, MARGIN, Neighbors, ROW_GAP};

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
    pub(super) fn of(drawing: &Drawing, widths: &[f64]) -> Self {
        let mut places = vec![Place::default(); drawing.items.len()];
        let right = set_columns(&mut places, drawing, widths);
        let neighbors = Neighbors::of(&drawing.lines, drawing.items.len());
        for pull in 0..PULLS {
            if pull % 2 == 0 {
                for layer in &drawing.layers {
                    set_heights(&mut places, drawing, layer, [&neighbors.above, &neighbors.below]);
                }
            } else {
                for layer in drawing.layers.iter().rev() {
                    set_heights(&mut places, drawing, layer, [&neighbors.below, &neighbors.above]);
                }
            }
        }
        let top = places.iter().map(|it| it.y).fold(f64::INFINITY, f64::min);
        let bottom = places.iter().map(|it| it.y).fold(f64::NEG_INFINITY, f64::max);
        if places.is_empty() {
            return Self { items: places, width: 2.0 * MARGIN, height: 2.0 * MARGIN };
        }
        for place in &mut places {
            place.y += MARGIN + HEIGHT / 2.0 - top;
        }
        Self { items: places, width: right + MARGIN, height: bottom - top + HEIGHT + 2.0 * MARGIN }
    }
}

/// Sets left edges and widths; answers where the last column ends.
fn set_columns(places: &mut [Place], drawing: &Drawing, widths: &[f64]) -> f64 {
    let mut left = MARGIN;
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
        left += width + COLUMN_GAP;
    }
    left - COLUMN_GAP
}

/// Moves the items of a layer to the mean of their neighbours on the first side, else the second, as far as order and gaps allow.
fn set_heights(places: &mut [Place], drawing: &Drawing, layer: &[usize], near: [&[Vec<usize>]; 2]) {
    let wanted: Vec<f64> = layer.iter().map(|it| wanted(places, *it, near)).collect();
    let gaps: Vec<f64> = layer
        .iter()
        .zip(layer.iter().skip(1))
        .map(|(one, next)| gap(drawing, *one, *next))
        .collect();
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

fn gap(drawing: &Drawing, one: usize, next: usize) -> f64 {
    let half = |item: usize| match drawing.items.get(item) {
        Some(Item::Block(_)) => HEIGHT.midpoint(ROW_GAP),
        Some(Item::Bend) | None => BEND_GAP,
    };
    half(one) + half(next)
}

//! The order of items in their layers, so that few lines cross: barycentre sweeps (Sugiyama, Tagawa and
//! Toda 1981), and swaps of neighbours where that helps (Gansner, Koutsofios, North and Vo 1993).

use super::layout::Line;

/// Sweeps at most, and how many that remove nothing end it.
const SWEEPS: usize = 16;
const IDLE_SWEEPS_MAX: usize = 4;
/// Rounds of swaps after one sweep.
const ROUNDS: usize = 8;
/// How often a piece of a line is looked at, in all sweeps and rounds: large pictures get fewer of them, and
/// take some milliseconds like the others.
const LOOKS_MAX: usize = 60_000;

/// Who lies next to whom, one layer up and one layer down.
#[derive(Debug)]
pub(super) struct Neighbors {
    pub(super) above: Vec<Vec<usize>>,
    pub(super) below: Vec<Vec<usize>>,
}

impl Neighbors {
    pub(super) fn of(lines: &[Line], items: usize) -> Self {
        let mut found = Self { above: vec![Vec::new(); items], below: vec![Vec::new(); items] };
        for (from, to) in lines.iter().flat_map(|it| it.items.iter().zip(it.items.iter().skip(1))) {
            if let Some(below) = found.below.get_mut(*from) {
                below.push(*to);
            }
            if let Some(above) = found.above.get_mut(*to) {
                above.push(*from);
            }
        }
        found
    }

    fn of_item(sides: &[Vec<usize>], item: usize) -> &[usize] {
        sides.get(item).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Sweeps down and up, and keeps the order with the fewest crossings; gives how many those are.
pub(super) fn untangle(layers: &mut Vec<Vec<usize>>, neighbors: &Neighbors) -> usize {
    let pieces: usize = neighbors.below.iter().map(Vec::len).sum();
    let mut order = Order::new(layers.clone(), neighbors);
    let mut fewest = order.crossings();
    let mut idle = 0;
    let mut rounds = (LOOKS_MAX / pieces.max(1)).max(2);
    for sweep in 0..SWEEPS {
        if fewest == 0 || idle == IDLE_SWEEPS_MAX || rounds == 0 {
            break;
        }
        order.sweep(sweep % 2 == 0);
        rounds = order.swap(rounds - 1);
        let crossings = order.crossings();
        idle += 1;
        if crossings < fewest {
            (fewest, idle) = (crossings, 0);
            layers.clone_from(&order.layers);
        }
    }
    fewest
}

/// Layers, and at which place of its layer each item is.
struct Order<'a> {
    layers: Vec<Vec<usize>>,
    places: Vec<usize>,
    neighbors: &'a Neighbors,
}

impl<'a> Order<'a> {
    fn new(layers: Vec<Vec<usize>>, neighbors: &'a Neighbors) -> Self {
        let places = vec![0; neighbors.above.len()];
        let mut order = Self { layers, places, neighbors };
        for layer in 0..order.layers.len() {
            order.number(layer);
        }
        order
    }

    fn number(&mut self, layer: usize) {
        for (place, item) in self.layers.get(layer).into_iter().flatten().enumerate() {
            if let Some(slot) = self.places.get_mut(*item) {
                *slot = place;
            }
        }
    }

    fn place(&self, item: usize) -> usize {
        self.places.get(item).copied().unwrap_or(0)
    }

    /// Every layer by the mean place of what each item is tied to on the side that is done.
    fn sweep(&mut self, is_down: bool) {
        let count = self.layers.len();
        for step in 1..count {
            let layer = if is_down { step } else { count - 1 - step };
            let sides = if is_down { &self.neighbors.above } else { &self.neighbors.below };
            let Some(items) = self.layers.get(layer) else { continue };
            let mut keyed: Vec<_> = items.iter().map(|it| (self.centre(*it, sides), *it)).collect();
            keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
            let sorted = keyed.into_iter().map(|(_, item)| item).collect();
            if let Some(items) = self.layers.get_mut(layer) {
                *items = sorted;
            }
            self.number(layer);
        }
    }

    /// Items without neighbours on that side keep their place.
    #[expect(clippy::cast_precision_loss, reason = "places in a layer are small numbers")]
    fn centre(&self, item: usize, sides: &[Vec<usize>]) -> f64 {
        let near = Neighbors::of_item(sides, item);
        if near.is_empty() {
            return self.place(item) as f64;
        }
        near.iter().map(|it| self.place(*it) as f64).sum::<f64>() / near.len() as f64
    }

    /// Swaps items that lie next to each other as long as that removes crossings, and for so many rounds at
    /// most; gives how many of those are left.
    fn swap(&mut self, mut rounds: usize) -> usize {
        for _ in 0..ROUNDS {
            if rounds == 0 {
                break;
            }
            rounds -= 1;
            let mut is_better = false;
            for layer in 0..self.layers.len() {
                is_better |= self.swap_in(layer);
            }
            if !is_better {
                break;
            }
        }
        rounds
    }

    /// One pass through a layer; the others stay as they are.
    fn swap_in(&mut self, layer: usize) -> bool {
        let Some(items) = self.layers.get(layer).filter(|it| it.len() > 1) else { return false };
        let sides = [&self.neighbors.above, &self.neighbors.below];
        let tied = |item: &usize| (*item, sides.map(|it| self.ends(*item, it)));
        let mut tied: Vec<_> = items.iter().map(tied).collect();
        let mut is_better = false;
        for place in 1..tied.len() {
            let Some([(_, left), (_, right)]) = tied.get(place - 1..=place) else { break };
            let pairs = || left.iter().zip(right);
            let as_is: usize = pairs().map(|(left, right)| inverted(left, right)).sum();
            if as_is == 0 {
                continue;
            }
            let swapped: usize = pairs().map(|(left, right)| inverted(right, left)).sum();
            if swapped < as_is {
                tied.swap(place - 1, place);
                is_better = true;
            }
        }
        if is_better {
            if let Some(items) = self.layers.get_mut(layer) {
                *items = tied.into_iter().map(|(item, _)| item).collect();
            }
            self.number(layer);
        }
        is_better
    }

    /// Where the lines of an item end on one side, in order.
    fn ends(&self, item: usize, sides: &[Vec<usize>]) -> Vec<usize> {
        let near = Neighbors::of_item(sides, item);
        let mut ends: Vec<_> = near.iter().map(|it| self.place(*it)).collect();
        ends.sort_unstable();
        ends
    }

    /// How many pairs of lines cross.
    fn crossings(&self) -> usize {
        self.layers.iter().map(|it| self.below(it)).sum()
    }

    fn below(&self, layer: &[usize]) -> usize {
        let ends: Vec<_> =
            layer.iter().flat_map(|it| self.ends(*it, &self.neighbors.below)).collect();
        let mut seen = Counts::new(ends.iter().max().map_or(0, |it| it + 1));
        let mut crossings = 0;
        for (count, end) in ends.into_iter().enumerate() {
            crossings += count - seen.up_to(end);
            seen.add(end);
        }
        crossings
    }
}

/// Pairs of which the left one ends further right. Both are in order.
fn inverted(left: &[usize], right: &[usize]) -> usize {
    let behind = |end: &usize| left.len() - left.partition_point(|it| it <= end);
    right.iter().map(behind).sum()
}

/// How often each number was seen, summed (a Fenwick tree).
struct Counts(Vec<usize>);

impl Counts {
    fn new(numbers: usize) -> Self {
        Self(vec![0; numbers + 1])
    }

    fn add(&mut self, number: usize) {
        let mut at = number + 1;
        while let Some(slot) = self.0.get_mut(at) {
            *slot += 1;
            at += at & at.wrapping_neg();
        }
    }

    /// How many of these numbers and smaller ones.
    fn up_to(&self, number: usize) -> usize {
        let (mut at, mut sum) = (number + 1, 0);
        while at > 0 {
            sum += self.0.get(at).copied().unwrap_or(0);
            at &= at - 1;
        }
        sum
    }
}

/// How many pairs of lines cross in these layers.
#[cfg(test)]
pub(super) fn crossings(layers: &[Vec<usize>], neighbors: &Neighbors) -> usize {
    Order::new(layers.to_vec(), neighbors).crossings()
}

//! Where things are in a picture. Cells of a matrix become one box; needs that follow from other needs
//! are left out; boxes of a layer are ordered so that few lines cross (barycentre sweeps, after
//! Sugiyama, Tagawa and Toda 1981).

use std::collections::{BTreeMap, HashMap};

use petgraph::algo::toposort;
use petgraph::algo::tred::{dag_to_toposorted_adjacency_list, dag_transitive_reduction_closure};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::{Edge, Graph, depths};

/// More boxes than this are drawn with all their needs: leaving some out takes quadratic room.
const REDUCED_MAX: usize = 2000;
/// More bends than this are not worth the time; longer lines then go straight.
const BENDS_MAX: usize = 20_000;
const SWEEPS: usize = 12;
/// More items than this are left as the sweeps leave them.
const SWAPPED_MAX: usize = 400;

/// A box: a stage, or all cells of its matrix.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) name: String,
    pub(super) kind: Option<String>,
    /// The stages of the plan that it stands for, and their keys.
    pub(super) cells: Vec<(usize, String)>,
    /// Boxes it needs, without those that follow; in the order of the plan.
    pub(super) needs: Vec<Need>,
}

/// A line to a box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    pub(super) block: usize,
    pub(super) optional: bool,
}

/// What lies at a place of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// A box.
    Block(usize),
    /// A line that passes this layer.
    Bend,
}

/// A way from a box to one that needs it, by the places it passes.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) items: Vec<usize>,
    pub(super) optional: bool,
}

/// A picture without measures: boxes, layers and order.
#[derive(Debug)]
pub(super) struct Drawing {
    pub(super) blocks: Vec<Block>,
    /// Everything that takes up a place.
    pub(super) items: Vec<Item>,
    /// Items by layer, in order.
    pub(super) layers: Vec<Vec<usize>>,
    pub(super) lines: Vec<Line>,
}

impl Drawing {
    pub(super) fn of(graph: &Graph) -> Self {
        let (mut blocks, folded) = fold(graph);
        let kept = reduced(&folded);
        for edge in kept.edge_references() {
            if let Some(block) = blocks.get_mut(edge.target().index()) {
                let optional = edge.weight().optional;
                block.needs.push(Need { block: edge.source().index(), optional });
            }
        }
        for block in &mut blocks {
            block.needs.sort_unstable_by_key(|it| it.block);
        }
        let mut drawing = Self {
            items: (0..blocks.len()).map(Item::Block).collect(),
            blocks,
            layers: Vec::new(),
            lines: Vec::new(),
        };
        drawing.place(&depths(&kept));
        drawing.untangle();
        drawing
    }

    /// Puts boxes into layers, and a bend into every layer that a line passes.
    fn place(&mut self, depths: &[usize]) {
        let count = depths.iter().max().map_or(0, |it| it + 1);
        self.layers = vec![Vec::new(); count];
        let depth = |block: usize| depths.get(block).copied().unwrap_or(0);
        let put = |layers: &mut Vec<Vec<usize>>, layer: usize, item: usize| {
            if let Some(layer) = layers.get_mut(layer) {
                layer.push(item);
            }
        };
        for block in 0..self.blocks.len() {
            put(&mut self.layers, depth(block), block);
        }
        for (block, needs) in self.blocks.iter().map(|it| &it.needs).enumerate() {
            for need in needs {
                let mut items = vec![need.block];
                for layer in depth(need.block) + 1..depth(block) {
                    if self.items.len() > self.blocks.len() + BENDS_MAX {
                        break;
                    }
                    items.push(self.items.len());
                    put(&mut self.layers, layer, self.items.len());
                    self.items.push(Item::Bend);
                }
                items.push(block);
                self.lines.push(Line { items, optional: need.optional });
            }
        }
    }

    /// Sweeps down and up, and keeps the order with the fewest crossings.
    fn untangle(&mut self) {
        let neighbors = Neighbors::of(&self.lines, self.items.len());
        let mut best = (neighbors.crossings(&self.layers), self.layers.clone());
        let mut layers = self.layers.clone();
        for sweep in 0..SWEEPS {
            if best.0 == 0 {
                break;
            }
            let down = sweep % 2 == 0;
            let mut places = HashMap::new();
            let count = layers.len();
            for step in 0..count {
                let at = if down { step } else { count - 1 - step };
                let Some(layer) = layers.get_mut(at) else { continue };
                let sides = if down { &neighbors.above } else { &neighbors.below };
                sort_by_barycentre(layer, sides, &places);
                places.extend(layer.iter().enumerate().map(|(place, item)| (*item, place)));
            }
            let crossings = neighbors.crossings(&layers);
            if crossings < best.0 {
                best = (crossings, layers.clone());
            }
        }
        self.layers = best.1;
        if self.items.len() <= SWAPPED_MAX {
            neighbors.swap(&mut self.layers);
        }
    }
}

/// Items without neighbours on that side keep their place.
#[expect(clippy::cast_precision_loss, reason = "places in a layer are small numbers")]
fn sort_by_barycentre(layer: &mut [usize], sides: &[Vec<usize>], places: &HashMap<usize, usize>) {
    let centre = |place: usize, item: usize| {
        let near = sides.get(item).map(Vec::as_slice).unwrap_or_default();
        let known: Vec<_> = near.iter().filter_map(|it| places.get(it)).collect();
        if known.is_empty() {
            return place as f64;
        }
        known.iter().map(|it| **it as f64).sum::<f64>() / known.len() as f64
    };
    let mut keyed: Vec<_> =
        layer.iter().enumerate().map(|(place, item)| (centre(place, *item), *item)).collect();
    keyed.sort_by(|left, right| left.0.total_cmp(&right.0));
    layer.iter_mut().zip(keyed).for_each(|(slot, (_, item))| *slot = item);
}

/// Who lies next to whom, one layer up and one layer down.
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

    /// How many pairs of lines cross.
    pub(super) fn crossings(&self, layers: &[Vec<usize>]) -> usize {
        layers.iter().zip(layers.iter().skip(1)).map(|(up, low)| self.between(up, low)).sum()
    }

    /// Swaps items that lie next to each other as long as that removes crossings.
    fn swap(&self, layers: &mut [Vec<usize>]) {
        let mut crossings = self.crossings(layers);
        for _ in 0..SWEEPS {
            let before = crossings;
            for layer in 0..layers.len() {
                for place in 1..layers.get(layer).map_or(0, Vec::len) {
                    swap_at(layers, layer, place);
                    let swapped = self.crossings(layers);
                    if swapped < crossings {
                        crossings = swapped;
                    } else {
                        swap_at(layers, layer, place);
                    }
                }
            }
            if crossings == 0 || crossings == before {
                return;
            }
        }
    }

    fn between(&self, upper: &[usize], lower: &[usize]) -> usize {
        let places: HashMap<_, _> = lower.iter().enumerate().map(|(at, it)| (*it, at)).collect();
        let mut crossings = 0;
        let mut seen: Vec<usize> = Vec::new();
        for item in upper {
            let below = self.below.get(*item).map(Vec::as_slice).unwrap_or_default();
            let mut ends: Vec<_> = below.iter().filter_map(|it| places.get(it).copied()).collect();
            ends.sort_unstable();
            crossings += ends
                .iter()
                .map(|end| seen.len() - seen.partition_point(|it| it <= end))
                .sum::<usize>();
            for end in ends {
                seen.insert(seen.partition_point(|it| *it <= end), end);
            }
        }
        crossings
    }
}

fn swap_at(layers: &mut [Vec<usize>], layer: usize, place: usize) {
    if let Some(layer) = layers.get_mut(layer) {
        layer.swap(place - 1, place);
    }
}

/// One box for all stages of a name.
fn fold(graph: &Graph) -> (Vec<Block>, DiGraph<(), Edge>) {
    let mut blocks: Vec<Block> = Vec::new();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    let mut block_of = Vec::with_capacity(graph.stages.len());
    for (at, stage) in graph.stages.iter().enumerate() {
        let block = *by_name.entry(stage.name.as_str()).or_insert_with(|| {
            blocks.push(Block {
                name: stage.name.clone(),
                kind: stage.kind.clone(),
                cells: Vec::new(),
                needs: Vec::new(),
            });
            blocks.len() - 1
        });
        if let Some(block) = blocks.get_mut(block) {
            block.cells.push((at, stage.key.clone()));
        }
        block_of.push(block);
    }
    // A need counts as optional when it is for every cell.
    let mut needs: BTreeMap<(usize, usize), bool> = BTreeMap::new();
    for edge in graph.edges.edge_references() {
        let block = |it: NodeIndex| block_of.get(it.index()).copied();
        if let (Some(from), Some(to)) = (block(edge.source()), block(edge.target()))
            && from != to
        {
            *needs.entry((from, to)).or_insert(true) &= edge.weight().optional;
        }
    }
    let mut folded = DiGraph::with_capacity(blocks.len(), needs.len());
    for _ in &blocks {
        folded.add_node(());
    }
    for ((from, to), optional) in needs {
        folded.add_edge(NodeIndex::new(from), NodeIndex::new(to), Edge { optional });
    }
    (blocks, folded)
}

/// Without the needs that follow from others. An optional need is always kept: it means something else.
fn reduced(folded: &DiGraph<(), Edge>) -> DiGraph<(), Edge> {
    if folded.node_count() > REDUCED_MAX {
        return folded.clone();
    }
    let Ok(sorted) = toposort(folded, None) else { return folded.clone() };
    let (list, place) = dag_to_toposorted_adjacency_list::<_, u32>(folded, &sorted);
    let (kept, _) = dag_transitive_reduction_closure(&list);
    folded.filter_map(
        |_, ()| Some(()),
        |edge, need| {
            let (from, to) = folded.edge_endpoints(edge)?;
            let (from, to) = (place.get(from.index())?, place.get(to.index())?);
            (need.optional || kept.contains_edge(*from, *to)).then_some(*need)
        },
    )
}

//! Where things are in a picture. Cells of a matrix become one box; needs that follow from other needs
//! are left out; boxes of a layer are ordered so that few lines cross.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use petgraph::Direction;
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::order::{self, Neighbors};
use super::{Edge, Graph, depths};

/// More boxes than this are drawn with all their needs: leaving some out takes quadratic room.
const REDUCED_MAX: usize = 2000;
/// More bends than this are not worth the time; longer lines then go straight.
const BENDS_MAX: usize = 20_000;

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
        Self::with(graph, &|_| true)
    }

    /// As [`Self::of`], but matrices are only folded where `is_folded` says so of their name.
    pub(super) fn with(graph: &Graph, is_folded: &dyn Fn(&str) -> bool) -> Self {
        let (mut blocks, folded) = fold(graph, is_folded);
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
        let neighbors = Neighbors::of(&drawing.lines, drawing.items.len());
        order::untangle(&mut drawing.layers, &neighbors);
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
}

/// One box for all stages of a name that is folded.
fn fold(graph: &Graph, is_folded: &dyn Fn(&str) -> bool) -> (Vec<Block>, DiGraph<(), Edge>) {
    let mut blocks: Vec<Block> = Vec::new();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    let mut block_of = Vec::with_capacity(graph.stages.len());
    for (at, stage) in graph.stages.iter().enumerate() {
        let name = if is_folded(&stage.name) { &stage.name } else { &stage.key };
        let block = *by_name.entry(name).or_insert_with(|| {
            blocks.push(Block {
                name: name.clone(),
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
    let count = folded.node_count();
    if count > REDUCED_MAX {
        return folded.clone();
    }
    let Ok(sorted) = toposort(folded, None) else { return folded.clone() };
    let mut turns = vec![0; count];
    for (turn, node) in sorted.iter().enumerate() {
        if let Some(slot) = turns.get_mut(node.index()) {
            *slot = turn;
        }
    }
    let turn = |node: NodeIndex| turns.get(node.index()).copied().unwrap_or(0);
    // What each box waits for, near or far; in the order of the boxes' turns.
    let mut above: Vec<Set> = Vec::with_capacity(count);
    let mut follows = vec![false; folded.edge_count()];
    for node in &sorted {
        let mut own = Set::new(count);
        let mut needs: Vec<_> = folded.edges_directed(*node, Direction::Incoming).collect();
        needs.sort_unstable_by_key(|it| Reverse(turn(it.source())));
        for need in needs {
            let source = turn(need.source());
            if own.has(source)
                && let Some(slot) = follows.get_mut(need.id().index())
            {
                *slot = true;
            }
            own.insert(source);
            if let Some(further) = above.get(source) {
                own.join(further);
            }
        }
        above.push(own);
    }
    folded.filter_map(
        |_, ()| Some(()),
        |edge, need| {
            let is_needless = follows.get(edge.index()).copied().unwrap_or(false);
            (need.optional || !is_needless).then_some(*need)
        },
    )
}

/// A set of small numbers.
struct Set(Vec<u64>);

impl Set {
    fn new(numbers: usize) -> Self {
        Self(vec![0; numbers.div_ceil(64)])
    }

    fn has(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|it| it & (1 << (number % 64)) != 0)
    }

    fn insert(&mut self, number: usize) {
        if let Some(word) = self.0.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    fn join(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word |= other;
        }
    }
}

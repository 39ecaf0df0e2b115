//! The graph of a plan: what waits for what, how deep it is, how long it must take, and pictures of it.
//! Building it costs time linear in stages and needs.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use petgraph::Direction;
use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};

use super::plan::{Plan, PlannedStage, Work};
use crate::model::{Milliseconds, StageIndex, StageStatus};

mod layout;
mod order;
mod picture;
mod place;
mod svg;
mod text;

pub use picture::{Measures, Picture, PictureBox, PictureLine};

#[cfg(test)]
mod tests;

/// The graph of a plan. An edge leads from a need to the stage that waits for it.
#[derive(Debug, Clone)]
pub struct Graph {
    pipeline: String,
    stages: Vec<Node>,
    edges: DiGraph<(), Edge>,
}

/// What a picture tells of a stage.
#[derive(Debug, Clone)]
struct Node {
    key: String,
    name: String,
    /// What it is, when it is no container: `approval`, `builtin/eval`.
    kind: Option<String>,
}

/// A stage of which no more is known than its names and its needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Unique in the plan.
    pub key: String,
    /// The name in the file.
    pub name: String,
    /// Keys of its needs.
    pub needs: Vec<String>,
}

/// A need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edge {
    optional: bool,
}

/// The chain of stages that decides how long the whole run takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// From the first stage to the last.
    pub stages: Vec<StageIndex>,
    /// The sum of their durations.
    pub duration: Milliseconds,
}

impl Graph {
    /// The graph of a plan. A need that points outside of the plan is left out.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let needs = plan.stages.iter().map(|it| it.needs.len()).sum();
        let mut edges = DiGraph::with_capacity(plan.stages.len(), needs);
        for _ in &plan.stages {
            edges.add_node(());
        }
        for (at, stage) in plan.stages.iter().enumerate() {
            for need in &stage.needs {
                if need.stage.as_usize() < plan.stages.len() {
                    let from = NodeIndex::new(need.stage.as_usize());
                    edges.add_edge(from, NodeIndex::new(at), Edge { optional: need.optional });
                }
            }
        }
        let stages = plan.stages.iter().map(Node::of).collect();
        Self { pipeline: plan.pipeline.clone(), stages, edges }
    }

    /// The same from what is told of a run: stages with the keys of what they need.
    #[must_use]
    pub fn of_stages(pipeline: &str, stages: Vec<Stage>) -> Self {
        let places: BTreeMap<_, _> =
            stages.iter().enumerate().map(|(at, it)| (it.key.clone(), at)).collect();
        let mut edges = DiGraph::new();
        for _ in &stages {
            edges.add_node(());
        }
        for (at, stage) in stages.iter().enumerate() {
            for need in stage.needs.iter().filter_map(|it| places.get(it)) {
                let edge = Edge { optional: false };
                edges.add_edge(NodeIndex::new(*need), NodeIndex::new(at), edge);
            }
        }
        let node = |it: Stage| Node { key: it.key, name: it.name, kind: None };
        let stages = stages.into_iter().map(node).collect();
        Self { pipeline: pipeline.to_owned(), stages, edges }
    }

    /// The stages in layers: each lies one layer below the deepest stage that it needs. Stages of a
    /// layer are in the order of the plan.
    #[must_use]
    pub fn layers(&self) -> Vec<Vec<StageIndex>> {
        let mut layers: Vec<Vec<StageIndex>> = Vec::new();
        for (stage, depth) in depths(&self.edges).into_iter().enumerate() {
            if layers.len() <= depth {
                layers.resize_with(depth + 1, Vec::new);
            }
            if let (Some(layer), Ok(stage)) = (layers.get_mut(depth), u32::try_from(stage)) {
                layer.push(StageIndex(stage));
            }
        }
        layers
    }

    /// The chain of needs that takes longest. A stage without a duration counts as zero.
    #[must_use]
    pub fn critical_path(&self, durations: &[Milliseconds]) -> CriticalPath {
        let of = |node: NodeIndex| durations.get(node.index()).map_or(0, |it| it.0);
        // When each stage ends at the earliest, and the need that it waits for last.
        let mut ends: Vec<(u64, Option<NodeIndex>)> = vec![(0, None); self.stages.len()];
        for node in order(&self.edges) {
            let needs = self.edges.neighbors_directed(node, Direction::Incoming);
            let last = needs
                .filter_map(|it| Some((ends.get(it.index())?.0, std::cmp::Reverse(it))))
                .max()
                .map(|(end, need)| (end, need.0));
            if let Some(slot) = ends.get_mut(node.index()) {
                let start = last.map_or(0, |(end, _)| end);
                *slot = (start.saturating_add(of(node)), last.map(|(_, need)| need));
            }
        }
        let last = (0..ends.len()).rev().max_by_key(|it| ends.get(*it).map(|it| it.0));
        let mut path = CriticalPath::default();
        let mut at = last.map(NodeIndex::new);
        while let Some(node) = at.take()
            && path.stages.len() <= ends.len()
        {
            let Some((end, before)) = ends.get(node.index()) else { break };
            path.duration = path.duration.max(Milliseconds(*end));
            path.stages.push(StageIndex(u32::try_from(node.index()).unwrap_or(u32::MAX)));
            at = *before;
        }
        path.stages.reverse();
        path
    }

    /// A picture for a terminal: one line a stage, layer by layer, cells of a matrix in one line.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::draw(&self.pipeline, &layout::Drawing::of(self))
    }

    /// A picture for a page: layers from left to right, cells of a matrix in one box. `states` are in
    /// the order of the plan; without them nothing is said of how the stages stand.
    #[must_use]
    pub fn to_svg(&self, states: Option<&[StageStatus]>) -> String {
        let width = |it: &PictureBox| svg::width(it, states.is_some());
        let picture = self.picture(&|_| true, &svg::MEASURES, &width);
        let keys: Vec<_> = self.stages.iter().map(|it| it.key.as_str()).collect();
        svg::draw(&self.pipeline, &picture, &keys, states)
    }

    /// Where everything of a picture is. Cells of a matrix are one box where `is_folded` says so of its
    /// name; `width` says how wide a box wants to be.
    #[must_use]
    pub fn picture(
        &self,
        is_folded: &dyn Fn(&str) -> bool,
        measures: &Measures,
        width: &dyn Fn(&PictureBox) -> f64,
    ) -> Picture {
        Picture::of(&layout::Drawing::with(self, is_folded), measures, width)
    }
}

impl Node {
    fn of(stage: &PlannedStage) -> Self {
        let kind = match &stage.work {
            Work::Container(_) => None,
            Work::Image(_) => Some("builtin/image".to_owned()),
            Work::Builtin { name, .. } => Some(format!("builtin/{name}")),
            Work::Approval(_) => Some("approval".to_owned()),
        };
        Self { key: stage.key.clone(), name: stage.name.clone(), kind }
    }
}

/// The state of several stages together: what most wants to be seen.
#[must_use]
pub fn most_urgent(statuses: impl Iterator<Item = StageStatus>) -> Option<StageStatus> {
    statuses.max_by_key(|it| urgency(*it))
}

/// How much a state wants to be seen: the higher the more.
#[must_use]
pub fn urgency(status: StageStatus) -> u8 {
    match status {
        StageStatus::Failed => 8,
        StageStatus::Cancelled => 7,
        StageStatus::Running => 6,
        StageStatus::Delayed => 5,
        StageStatus::Waiting => 4,
        StageStatus::Ready => 3,
        StageStatus::Pending => 2,
        StageStatus::Passed => 1,
        StageStatus::Skipped => 0,
    }
}

/// Needs before the stages that wait for them. Plans have no cycles; should one be there all the same,
/// the order is that of the plan.
fn order<N, E>(graph: &DiGraph<N, E>) -> Vec<NodeIndex> {
    toposort(graph, None).unwrap_or_else(|_| graph.node_indices().collect())
}

/// How many needs lie above each stage, along the longest way.
fn depths<N, E>(graph: &DiGraph<N, E>) -> Vec<usize> {
    let mut depths = vec![0; graph.node_count()];
    for node in order(graph) {
        let above = graph.neighbors_directed(node, Direction::Incoming);
        let depth = above.filter_map(|it| depths.get(it.index())).max().map_or(0, |it| it + 1);
        if let Some(slot) = depths.get_mut(node.index()) {
            *slot = depth;
        }
    }
    depths
}

/// Stages that wait for each other, as closed paths: `a`, `b`, `a`. One shortest path for each knot of
/// stages, in the order of the names. An edge is a stage and the place of a stage that it needs.
#[must_use]
pub fn cycles(names: &[&str], needs: &[(usize, usize)]) -> Vec<Vec<String>> {
    let mut graph = DiGraph::<(), ()>::with_capacity(names.len(), needs.len());
    for _ in names {
        graph.add_node(());
    }
    for (stage, need) in needs {
        if *stage < names.len() && *need < names.len() {
            graph.add_edge(NodeIndex::new(*stage), NodeIndex::new(*need), ());
        }
    }
    let mut found: Vec<_> = kosaraju_scc(&graph)
        .into_iter()
        .filter_map(|knot| closed_path(&graph, knot.into_iter().min()?))
        .collect();
    found.sort_unstable();
    let name = |it: &NodeIndex| names.get(it.index()).map(|it| (*it).to_owned());
    found.iter().map(|path| path.iter().filter_map(name).collect()).collect()
}

/// The shortest way from a stage back to itself.
fn closed_path(graph: &DiGraph<(), ()>, start: NodeIndex) -> Option<Vec<NodeIndex>> {
    let mut came_from = BTreeMap::new();
    let mut todo = VecDeque::from([start]);
    while let Some(node) = todo.pop_front() {
        let mut next: Vec<_> = graph.neighbors(node).collect();
        next.sort_unstable();
        for neighbor in next {
            if neighbor == start {
                let mut path = vec![start, node];
                while let Some(before) = path.last().and_then(|it| came_from.get(it)) {
                    path.push(*before);
                }
                path.reverse();
                return Some(path);
            }
            if let Entry::Vacant(entry) = came_from.entry(neighbor) {
                entry.insert(node);
                todo.push_back(neighbor);
            }
        }
    }
    None
}

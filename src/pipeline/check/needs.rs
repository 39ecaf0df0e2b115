//! Checks of the graph: every need exists, and none leads back to where it came from.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::include::Merged;
use crate::pipeline::file::stage::Stage;
use crate::pipeline::file::{Named, stage::policy::Need};
use crate::pipeline::reading::Reading;

pub(super) fn check(merged: &Merged, reading: &Reading) {
    let known: Vec<&str> = merged.names.keys().map(String::as_str).collect();
    for stage in &merged.stages {
        for need in &stage.needs {
            check_need(stage, need, &known, merged, reading);
        }
    }
    check_cycles(merged, reading);
}

fn check_need(stage: &Stage, need: &Need, known: &[&str], merged: &Merged, reading: &Reading) {
    let Named { name, place } = &need.stage;
    if *name == stage.name {
        let message = format!("stage `{name}` needs itself");
        reading.error("pipeline/need-on-itself", *place, message, "remove this need");
    } else if !merged.names.contains_key(name) && !need.optional {
        if reading.is_full() {
            return;
        }
        let others: Vec<&str> = known.iter().copied().filter(|it| *it != stage.name).collect();
        let message =
            format!("stage `{}` needs `{name}`, but there is no stage of this name", stage.name);
        let help = match others.as_slice() {
            [] => "the pipeline has no other stage".to_owned(),
            others => reading.suggest(name, "stages", others),
        };
        reading.error("pipeline/unknown-need", *place, message, help);
    }
}

/// One problem for each group of stages that wait for each other.
fn check_cycles(merged: &Merged, reading: &Reading) {
    let places: BTreeMap<&str, usize> =
        merged.stages.iter().enumerate().map(|(index, it)| (it.name.as_str(), index)).collect();
    let mut graph = DiGraph::<(), ()>::new();
    let nodes: Vec<NodeIndex> = merged.stages.iter().map(|_| graph.add_node(())).collect();
    for (from, stage) in nodes.iter().zip(&merged.stages) {
        let needs = stage.needs.iter().filter_map(|it| places.get(it.stage.name.as_str()));
        for to in needs.filter_map(|index| nodes.get(*index)) {
            graph.add_edge(*from, *to, ());
        }
    }
    let mut groups = kosaraju_scc(&graph); // Tarjan's is recursive in petgraph; this one is not.
    groups.retain(|it| it.len() > 1);
    for group in &groups {
        if let Some(start) = group.iter().min() {
            let inside = group.iter().copied().collect();
            report(&shortest_cycle(&graph, *start, &inside), merged, reading);
        }
    }
}

/// The shortest way from a stage back to itself, through stages of its group.
fn shortest_cycle(
    graph: &DiGraph<(), ()>,
    start: NodeIndex,
    inside: &BTreeSet<NodeIndex>,
) -> Vec<NodeIndex> {
    let mut came_from: BTreeMap<NodeIndex, NodeIndex> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for next in graph.neighbors(node).filter(|it| inside.contains(it)) {
            if next == start {
                let back = |it: &NodeIndex| came_from.get(it).copied();
                let mut way: Vec<_> = std::iter::successors(Some(node), back).collect();
                way.reverse();
                return way;
            }
            if let std::collections::btree_map::Entry::Vacant(entry) = came_from.entry(next) {
                entry.insert(node);
                queue.push_back(next);
            }
        }
    }
    vec![start]
}

fn report(cycle: &[NodeIndex], merged: &Merged, reading: &Reading) {
    let stages: Vec<&Stage> = cycle.iter().filter_map(|it| merged.stages.get(it.index())).collect();
    let (Some(first), Some(second)) = (stages.first(), stages.get(1)) else { return };
    let closed = stages.iter().chain(stages.first());
    let shown: Vec<String> = closed.map(|it| format!("`{}`", it.name)).collect();
    let need = first.needs.iter().find(|it| it.stage.name == second.name);
    let place = need.map_or(first.place, |it| it.stage.place);
    let message = format!("stages wait for each other: {}", shown.join(" -> "));
    let help = format!("remove one `needs` of the circle, such as that of `{}`", first.name);
    reading.error("pipeline/cycle", place, message, help);
}

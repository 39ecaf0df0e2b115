//! The graph of a run: boxes that lead to their stages, folded matrices, and the chain that decides how long
//! the whole takes. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::path_of_stage;
use super::table::since;
use crate::model::{Milliseconds, StageIndex, StageStatus, Timestamp};
use crate::pipeline::Plan;
use crate::pipeline::graph::{Graph, Measures, Picture, PictureBox, most_urgent, urgency};
use crate::runs::view::{RunView, StageView};

const MEASURES: Measures =
    Measures { box_height: 46.0, column_gap: 44.0, row_gap: 12.0, bend_gap: 9.0, margin: 8.0 };
/// Average advance of a letter of a name, rounded up; what stands beside it; the narrowest and widest box.
const LETTER: f64 = 8.2;
const BESIDE: f64 = 52.0;
const WIDTHS: (f64, f64) = (176.0, 264.0);
/// A folded matrix says how many of its cells stand where.
const FOLDED: f64 = 220.0;
/// Letters of a name that are seen in the widest box.
const LETTERS_SEEN: usize = 24;
/// Names in one tip.
const TOLD_MAX: usize = 30;

/// The graph of a run as it stands.
#[derive(Debug)]
pub(in crate::ui) struct RunGraph {
    pub(in crate::ui) width: u32,
    pub(in crate::ui) height: u32,
    pub(in crate::ui) lines: Vec<GraphLine>,
    pub(in crate::ui) nodes: Vec<GraphNode>,
    /// Matrices that are shown cell by cell: name, and where they are folded again.
    pub(in crate::ui) unfolded: Vec<(String, String)>,
    pub(in crate::ui) critical: Option<Critical>,
}

/// Needs that look the same, drawn as one.
#[derive(Debug)]
pub(in crate::ui) struct GraphLine {
    /// `d` of the path.
    pub(in crate::ui) path: String,
    /// Further classes.
    pub(in crate::ui) class: String,
}

/// A box of the graph.
#[derive(Debug)]
pub(in crate::ui) struct GraphNode {
    pub(in crate::ui) x: String,
    pub(in crate::ui) y: String,
    pub(in crate::ui) width: String,
    pub(in crate::ui) name: String,
    pub(in crate::ui) href: String,
    /// Where it stands; of a matrix, what most wants to be seen.
    pub(in crate::ui) status: StageStatus,
    /// The same, or counts by status.
    pub(in crate::ui) word: String,
    /// When it began, while that goes on.
    pub(in crate::ui) since: Option<Timestamp>,
    /// How long it has taken so far.
    pub(in crate::ui) took: Option<Milliseconds>,
    /// What the tip says; empty where that is no more than what stands in the box.
    pub(in crate::ui) told: String,
    /// How many cells a folded matrix has, else 1.
    pub(in crate::ui) cells: usize,
    /// Further classes.
    pub(in crate::ui) class: String,
}

/// The chain of stages that decides how long the run takes.
#[derive(Debug)]
pub(in crate::ui) struct Critical {
    /// Keys, from the first to the last.
    pub(in crate::ui) keys: Vec<String>,
    pub(in crate::ui) took: Milliseconds,
    /// The moment from which that counts, while the last of them goes on.
    pub(in crate::ui) since: Option<Timestamp>,
}

impl RunGraph {
    /// The graph; matrices of these names are shown cell by cell. `path` is that of the run's page.
    pub(in crate::ui) fn new(
        plan: &Plan,
        view: &RunView,
        (path, unfolded): (&str, &BTreeSet<String>),
    ) -> Self {
        let graph = Graph::of(plan);
        let picture = graph.picture(&|name| !unfolded.contains(name), &MEASURES, &width);
        let chain = chain(&graph, view);
        let drawer = Drawer { view, path, unfolded, chain: &chain };
        Self {
            width: whole(picture.width),
            height: whole(picture.height),
            lines: drawer.lines(&picture),
            nodes: picture.boxes.iter().map(|it| drawer.node(it)).collect(),
            unfolded: unfolded
                .iter()
                .filter(|name| view.stages.iter().any(|it| it.name == **name))
                .map(|it| (it.clone(), drawer.unfold_path(it, false)))
                .collect(),
            critical: critical(view, &chain),
        }
    }
}

/// The stages of the critical path, by what they have taken so far; those that nothing is known of are left out.
fn chain(graph: &Graph, view: &RunView) -> Vec<StageIndex> {
    let taken: Vec<_> = view.stages.iter().map(|it| it.duration_ms.unwrap_or_default()).collect();
    let path = graph.critical_path(&taken).stages.into_iter();
    let is_known = |it: &StageIndex| view.stage(*it).is_some_and(|it| it.duration_ms.is_some());
    let known: Vec<_> = path.filter(is_known).collect();
    if view.stages.len() < 2 { Vec::new() } else { known }
}

fn critical(view: &RunView, chain: &[StageIndex]) -> Option<Critical> {
    let stages = || chain.iter().filter_map(|it| view.stage(*it));
    let sum = |is_wanted: fn(&StageView) -> bool| {
        let taken = stages().filter(|it| is_wanted(it)).filter_map(|it| it.duration_ms);
        Milliseconds(taken.map(|it| it.0).sum())
    };
    let keys: Vec<_> = stages().map(|it| it.key.clone()).collect();
    let took = sum(|_| true);
    let before = sum(|it| it.status.is_finished());
    let since = stages().next_back().and_then(since).map(|it| it.minus(before));
    (!keys.is_empty()).then_some(Critical { keys, took, since })
}

/// What boxes and lines are made from.
struct Drawer<'a> {
    view: &'a RunView,
    path: &'a str,
    unfolded: &'a BTreeSet<String>,
    chain: &'a [StageIndex],
}

impl Drawer<'_> {
    fn stages<'a>(&'a self, shown: &'a PictureBox) -> impl Iterator<Item = &'a StageView> {
        shown.stages.iter().filter_map(|it| self.view.stage(*it))
    }

    fn is_critical(&self, shown: &PictureBox) -> bool {
        shown.stages.iter().any(|it| self.chain.contains(it))
    }

    fn lines(&self, picture: &Picture) -> Vec<GraphLine> {
        let mut paths: BTreeMap<(bool, String), String> = BTreeMap::new();
        for line in &picture.lines {
            let ends = (picture.boxes.get(line.from), picture.boxes.get(line.to));
            let (Some(from), Some(to)) = ends else { continue };
            let mut class = String::new();
            if line.is_optional {
                class.push_str(" optional");
            }
            if self.stages(from).all(|it| it.status.is_finished()) {
                class.push_str(" done");
            }
            let is_marked = self.follows(from, to);
            if is_marked {
                class.push_str(" critical");
            }
            // What is marked lies above what is not.
            paths.entry((is_marked, class)).or_default().push_str(&line.path);
        }
        paths.into_iter().map(|((_, class), path)| GraphLine { path, class }).collect()
    }

    /// Whether the critical path leads from one to the other.
    fn follows(&self, from: &PictureBox, to: &PictureBox) -> bool {
        let mut pairs = self.chain.iter().zip(self.chain.iter().skip(1));
        pairs.any(|(one, next)| from.stages.contains(one) && to.stages.contains(next))
    }

    fn node(&self, shown: &PictureBox) -> GraphNode {
        let status = most_urgent(self.stages(shown).map(|it| it.status));
        let status = status.unwrap_or(StageStatus::Pending);
        let only = if shown.stages.len() == 1 { self.stages(shown).next() } else { None };
        let mut class = format!("s-{status}");
        if self.is_critical(shown) {
            class.push_str(" critical");
        }
        if shown.kind.as_deref() == Some("approval") {
            class.push_str(" people");
        }
        if only.is_some_and(|it| it.allowed && it.status == StageStatus::Failed) {
            class.push_str(" allowed");
        }
        GraphNode {
            x: format!("{:.0}", shown.x),
            y: format!("{:.0}", shown.y),
            width: format!("{:.0}", shown.width),
            name: shown.name.clone(),
            href: match only {
                Some(stage) => path_of_stage(self.path, &stage.key),
                None => self.unfold_path(&shown.name, true),
            },
            status,
            word: only.map_or_else(|| self.counts(shown), word),
            since: only.and_then(since),
            took: only.and_then(|it| it.duration_ms),
            told: only.map_or_else(|| self.told(shown), tell_more),
            cells: shown.stages.len(),
            class,
        }
    }

    /// `2 failed, 3 passed`.
    fn counts(&self, shown: &PictureBox) -> String {
        let mut counts: Vec<(StageStatus, usize)> = Vec::new();
        for status in self.stages(shown).map(|it| it.status) {
            match counts.iter_mut().find(|(it, _)| *it == status) {
                Some((_, count)) => *count += 1,
                None => counts.push((status, 1)),
            }
        }
        // What most wants to be seen comes first.
        counts.sort_by_key(|(it, _)| Reverse(urgency(*it)));
        let told: Vec<_> = counts.iter().map(|(it, count)| format!("{count} {it}")).collect();
        told.join(", ")
    }

    fn told(&self, shown: &PictureBox) -> String {
        let lines: Vec<_> = self.stages(shown).take(TOLD_MAX).map(tell).collect();
        let more = shown.stages.len().saturating_sub(TOLD_MAX);
        let more = if more == 0 { String::new() } else { format!("\nand {more} more") };
        format!("{}\n{}{more}", shown.name, lines.join("\n"))
    }

    /// The same page with this matrix unfolded, or folded again.
    fn unfold_path(&self, name: &str, is_unfolded: bool) -> String {
        let mut names = self.unfolded.clone();
        if is_unfolded {
            names.insert(name.to_owned());
        } else {
            names.remove(name);
        }
        if names.is_empty() {
            return format!("{}#graph", self.path);
        }
        let names: Vec<_> = names.iter().map(|it| super::encoded(it)).collect();
        format!("{}?unfold={}#graph", self.path, names.join(","))
    }
}

/// Where a stage stands, in a word or two.
pub(super) fn word(stage: &StageView) -> String {
    let is = |status| stage.status == status;
    if is(StageStatus::Failed) && stage.allowed {
        return "failed (allowed)".to_owned();
    }
    if is(StageStatus::Passed) && stage.reused_from.is_some() {
        return "passed (reused)".to_owned();
    }
    stage.status.to_string()
}

/// What does not stand in the box of a stage, where there is such.
fn tell_more(stage: &StageView) -> String {
    let told = tell(stage);
    let is_short = stage.key.chars().count() <= LETTERS_SEEN;
    let is_all = is_short && told == format!("{}: {}", stage.key, word(stage));
    if is_all { String::new() } else { told }
}

fn tell(stage: &StageView) -> String {
    let wait = stage.waits_for.as_ref().filter(|_| stage.status != StageStatus::Running);
    let wait =
        wait.map(|it| format!(", waits for {}", it.text.replace('`', ""))).unwrap_or_default();
    let gates = stage.gates.iter().filter(|it| !it.passed).count();
    let gates = if gates == 0 { String::new() } else { format!(", gates missed: {gates}") };
    format!("{}: {}{wait}{gates}", stage.key, word(stage))
}

#[expect(clippy::cast_precision_loss, reason = "names are short")]
fn width(shown: &PictureBox) -> f64 {
    let letters = shown.name.chars().count() as f64 * LETTER;
    let least = if shown.stages.len() > 1 { FOLDED } else { WIDTHS.0 };
    (letters + BESIDE).clamp(least, WIDTHS.1)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pictures are neither negative nor that large"
)]
fn whole(size: f64) -> u32 {
    size.ceil().max(0.0) as u32
}

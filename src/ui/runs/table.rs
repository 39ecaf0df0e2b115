//! The stages of a run as rows of a table: what its graph shows, in words.

use super::graph::word;
use super::path_of_stage;
use crate::desk::runs::SeenRun;
use crate::model::{Milliseconds, StageStatus, Timestamp};
use crate::runs::view::{StageView, WaitView};

/// Needs that a row names.
const NEEDS_MAX: usize = 6;

/// A stage.
#[derive(Debug)]
pub(super) struct StageRow {
    pub(super) key: String,
    pub(super) href: String,
    pub(super) status: StageStatus,
    /// What the status alone does not say: `allowed`, `reused`.
    pub(super) remark: &'static str,
    /// Why it waits, was skipped or failed.
    pub(super) note: String,
    pub(super) needs: String,
    pub(super) attempts: usize,
    /// When it began, while that goes on.
    pub(super) since: Option<Timestamp>,
    pub(super) took: Option<Milliseconds>,
    /// Gates that hold, and all of them.
    pub(super) gates: (usize, usize),
    pub(super) is_critical: bool,
    /// Where it is run again, where that can be.
    pub(super) rerun: Option<String>,
    /// Where people answer, while they are asked; and whether the one who looks may.
    pub(super) approval: Option<String>,
    pub(super) may_answer: bool,
}

/// All stages, in the order of the plan. Those on the critical path have their keys in `critical`.
pub(super) fn rows(seen: &SeenRun, path: &str, critical: &[String]) -> Vec<StageRow> {
    let may_rerun = seen.may_rerun();
    let row = |stage: &StageView| {
        let href = path_of_stage(path, &stage.key);
        let is_waiting = stage.status == StageStatus::Waiting;
        let rerun = format!("{path}/rerun?stage={}", super::encoded(&stage.key));
        StageRow {
            key: stage.key.clone(),
            status: stage.status,
            remark: remark(stage),
            note: note(stage),
            needs: needs(stage),
            attempts: stage.present_attempts().len(),
            since: since(stage),
            took: stage.duration_ms,
            gates: (stage.gates.iter().filter(|it| it.passed).count(), stage.gates.len()),
            is_critical: critical.contains(&stage.key),
            rerun: may_rerun.then_some(rerun),
            approval: is_waiting.then(|| format!("{href}/approval")),
            may_answer: seen.answerable.contains(&stage.stage),
            href,
        }
    };
    seen.view.stages.iter().map(row).collect()
}

/// When it began, or began to wait for people, while that goes on: its time counts on in the browser.
pub(super) fn since(stage: &StageView) -> Option<Timestamp> {
    if stage.status.is_finished() || stage.duration_ms.is_none() {
        return None;
    }
    let until = stage.waits_for.as_ref().and_then(|it| it.until);
    match until.filter(|_| stage.status == StageStatus::Waiting) {
        Some(until) => Some(until.minus(stage.timeout_ms)),
        None => stage.present_attempts().first().map(|it| it.started_at),
    }
}

fn remark(stage: &StageView) -> &'static str {
    let word = word(stage);
    if word.ends_with("(allowed)") {
        "allowed"
    } else if word.ends_with("(reused)") {
        "reused"
    } else {
        ""
    }
}

fn note(stage: &StageView) -> String {
    if let Some(because) = &stage.skipped_because {
        return because.clone();
    }
    match stage.status {
        StageStatus::Failed | StageStatus::Cancelled => {
            let (class, message) = stage.failure();
            let first = message.lines().next().unwrap_or_default();
            match class {
                Some(class) if first.is_empty() => class.to_string(),
                _ => first.to_owned(),
            }
        }
        StageStatus::Passed => note_of_passed(stage),
        StageStatus::Skipped | StageStatus::Running => String::new(),
        StageStatus::Pending | StageStatus::Ready | StageStatus::Delayed | StageStatus::Waiting => {
            // What the run as a whole waits for is told once, above.
            let is_own = |it: &&WaitView| it.kind != "driver" && it.kind != "admission";
            let wait = stage.waits_for.as_ref().filter(is_own);
            wait.map_or_else(String::new, |it| format!("waits for {}", it.text))
        }
    }
}

/// Tests that failed where nothing has made the stage fail for it.
fn note_of_passed(stage: &StageView) -> String {
    let last = stage.present_attempts().last().and_then(|it| it.outcome.as_ref());
    let tests = last.or(stage.reused_outcome.as_ref()).and_then(|it| it.tests.as_ref());
    match tests.map_or(0, |it| it.failed) {
        0 => String::new(),
        1 => "1 test failed, and no gate asks for it: see Reports".to_owned(),
        failed => format!("{failed} tests failed, and no gate asks for them: see Reports"),
    }
}

fn needs(stage: &StageView) -> String {
    let more = stage.needs.len().saturating_sub(NEEDS_MAX);
    let named: Vec<_> = stage.needs.iter().take(NEEDS_MAX).map(String::as_str).collect();
    if more == 0 { named.join(", ") } else { format!("{} and {more} more", named.join(", ")) }
}

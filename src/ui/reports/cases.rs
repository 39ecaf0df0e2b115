//! The test cases of a run, stage by stage. Pure.

use crate::model::CaseOutcome;
use crate::runs::view::{CaseView, RunView, StageView, TestsView};
use crate::ui::reports::chart::Unit;

/// Failed cases of a stage that are shown.
const FAILED_MAX: usize = 100;
/// Letters of messages that are shown of a stage, so that a page stays small.
const MESSAGES_CHARS_MAX: usize = 40_000;

/// The tests of one stage.
#[derive(Debug, Clone)]
pub(super) struct StageTests {
    pub(super) key: String,
    /// Path of the stage.
    pub(super) path: String,
    /// Counts of the attempt that counts.
    pub(super) counts: Option<TestsView>,
    /// Its failures, then what was flaky in it.
    pub(super) failed: Vec<SeenCase>,
    /// Failures that are not shown.
    pub(super) more: usize,
    pub(super) slowest: Vec<SeenCase>,
    /// Failures of attempts before it.
    pub(super) earlier: Vec<SeenCase>,
}

/// One case.
#[derive(Debug, Clone)]
pub(super) struct SeenCase {
    pub(super) name: String,
    pub(super) outcome: CaseOutcome,
    pub(super) is_flaky: bool,
    pub(super) message: String,
    /// `src/x.rs:7`, or empty.
    pub(super) place: String,
    /// `1.5 s`, or empty.
    pub(super) took: String,
    pub(super) attempt: u32,
}

impl SeenCase {
    fn of(case: &CaseView, room: &mut usize) -> Self {
        let message: String = case.message.chars().take(*room).collect();
        *room -= message.chars().count();
        let line = case.line.map(|it| format!(":{it}")).unwrap_or_default();
        Self {
            name: case.full_name(),
            outcome: case.outcome,
            is_flaky: case.flaky,
            message,
            place: if case.file.is_empty() {
                String::new()
            } else {
                format!("{}{line}", case.file)
            },
            took: case.duration_ms.map(took).unwrap_or_default(),
            attempt: case.attempt,
        }
    }

    /// The icon of what came of it.
    pub(super) fn icon(&self) -> &'static str {
        if self.outcome.is_failure() { "failed" } else { "warning" }
    }
}

fn took(ms: i64) -> String {
    Unit::Time.text(super::signed(ms))
}

/// The stages that have tests, those with failures first.
pub(super) fn by_stage(view: &RunView, cases: &[CaseView]) -> Vec<StageTests> {
    let mut stages = Vec::new();
    for stage in &view.stages {
        let of_stage: Vec<_> = cases.iter().filter(|it| it.stage == stage.stage).collect();
        let has_counts = stage.outcome().is_some_and(|it| it.tests.is_some());
        if has_counts || !of_stage.is_empty() {
            let path = format!("/runs/{}/stages/{}", view.id.0, super::encoded(&stage.key));
            stages.push(tests_of(path, stage, &of_stage));
        }
    }
    stages.sort_by_key(|it| it.failed.is_empty());
    stages
}

/// Whether it has something to say but how long it took.
fn is_told(case: &CaseView) -> bool {
    case.outcome != CaseOutcome::Passed
}

fn tests_of(path: String, stage: &StageView, cases: &[&CaseView]) -> StageTests {
    let mut room = MESSAGES_CHARS_MAX;
    let (now, before): (Vec<&CaseView>, Vec<&CaseView>) = cases.iter().partition(|it| it.counts);
    let (told, passed): (Vec<&CaseView>, Vec<&CaseView>) = now.iter().partition(|it| is_told(it));
    let mut seen = |cases: &[&CaseView]| -> Vec<SeenCase> {
        cases.iter().take(FAILED_MAX).map(|it| SeenCase::of(it, &mut room)).collect()
    };
    let slow: Vec<_> =
        passed.into_iter().filter(|it| it.duration_ms.is_some_and(|it| it > 0)).collect();
    let earlier: Vec<_> = before.into_iter().filter(|it| is_told(it)).collect();
    StageTests {
        key: stage.key.clone(),
        path,
        counts: stage.outcome().and_then(|it| it.tests),
        more: told.len().saturating_sub(FAILED_MAX),
        failed: seen(&told),
        slowest: seen(&slow),
        earlier: seen(&earlier),
    }
}

//! Text and JSON from the state of a run. Pure: no clock, no terminal, no disk, so every picture can
//! be a test.

pub mod terminal;
pub mod format;
pub mod tree;
pub mod line;
pub mod json;
pub mod summary;

use std::collections::BTreeMap;

use super::output::Paint;
use crate::engine::{Run, Stage};
use crate::model::{FailureClass, Milliseconds, StageIndex, StageStatus, Timestamp};
use crate::pipeline::PlannedStage;
use crate::runs::view::{key_of, time_of_stage};

/// What a picture of a run is made from.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The run.
    pub run: &'a Run,
    /// Its number, for people.
    pub number: i64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// The moment it is drawn for.
    pub now: Timestamp,
    /// The last log line of stages that run.
    pub tails: &'a BTreeMap<StageIndex, String>,
    /// Colours.
    pub paint: Paint,
    /// Whether containers of failed stages are kept, so that a person can enter them.
    pub keeps_containers: bool,
    /// Whether nobody goes on with the run although it has not ended.
    pub is_interrupted: bool,
    /// Columns of the terminal; lines are cut to fit. `usize::MAX` for a file.
    pub columns: usize,
}

impl<'a> View<'a> {
    /// Every stage: its place, its plan and where it stands.
    fn stages(self) -> impl Iterator<Item = (StageIndex, &'a PlannedStage, &'a Stage)> {
        let planned = &self.run.plan().stages;
        self.run.stages().zip(planned).map(|((index, stage), planned)| (index, planned, stage))
    }

    /// Where each stage stands, in the order of the plan.
    pub fn statuses(self) -> impl Iterator<Item = StageStatus> + 'a {
        self.stages().map(|(_, _, stage)| stage.status)
    }

    /// How long a stage has taken so far: from its first attempt on, waits between attempts included; or
    /// how long it has waited for people. Nothing says until when an interrupted one went on.
    fn time_of(self, planned: &PlannedStage, stage: &Stage) -> Option<Milliseconds> {
        if self.is_interrupted && !stage.status.is_finished() {
            return None;
        }
        if let Some(until) = stage.waits_until.filter(|_| stage.status == StageStatus::Waiting) {
            let left = until.since(self.now);
            return Some(Milliseconds(planned.timeout.0.saturating_sub(left.0)));
        }
        time_of_stage(stage, self.now)
    }

    /// How long the run has taken so far; before its start, how long it has waited for that.
    fn time_of_run(self) -> Milliseconds {
        let (started, finished) = self.run.times();
        finished.unwrap_or(self.now).since(started.unwrap_or(self.created_at))
    }

    /// One sign for a status, coloured.
    fn glyph(self, status: StageStatus, is_allowed: bool) -> String {
        match status {
            StageStatus::Pending => self.paint.dim("○"),
            StageStatus::Ready => self.paint.cyan("○"),
            StageStatus::Running => self.paint.cyan("●"),
            StageStatus::Delayed => self.paint.yellow("↻"),
            StageStatus::Waiting => self.paint.yellow("?"),
            StageStatus::Passed => self.paint.green("✓"),
            StageStatus::Failed if is_allowed => self.paint.yellow("!"),
            StageStatus::Failed => self.paint.red("✗"),
            StageStatus::Skipped => self.paint.dim("-"),
            StageStatus::Cancelled => self.paint.yellow("■"),
        }
    }
}

/// Why a stage failed: class and message, of its last attempt or of the stage itself.
fn failure_of(stage: &Stage) -> (Option<FailureClass>, &str) {
    if let Some(failure) = &stage.failure {
        return (Some(failure.class), &failure.message);
    }
    stage.outcome().map_or((None, ""), |it| (it.class, &it.message))
}

/// A word for the shell: quoted when it needs to be.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "_-./:=@,+".contains(it);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;

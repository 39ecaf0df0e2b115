//! Text and JSON from the state of a run. Pure: no clock, no terminal, no disk, so every picture can
//! be a test.

pub mod paint;
pub mod terminal;
pub mod format;
pub mod tree;
pub mod line;
pub mod log;
pub mod people;
pub mod summary;
pub mod approval;
pub mod trail;

use std::collections::BTreeMap;

use crate::model::{Milliseconds, StageIndex, StageStatus, Timestamp};
use crate::runs::view::{RunView, StageView};
use paint::Paint;

/// What a picture of a run is made from.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The run.
    pub run: &'a RunView,
    /// The moment it is drawn for.
    pub now: Timestamp,
    /// The last log line of stages that run.
    pub tails: &'a BTreeMap<StageIndex, String>,
    /// Colours.
    pub paint: Paint,
    /// Whether containers of failed stages are kept, so that a person can enter them.
    pub keeps_containers: bool,
    /// The server that commands for a person have to name, or empty.
    pub server: &'a str,
    /// What the run was started with, as options of commands that go on with it: ` --secret API_KEY`, or empty.
    pub given: &'a str,
    /// Columns of the terminal; lines are cut to fit. `usize::MAX` for a file.
    pub columns: usize,
}

impl<'a> View<'a> {
    /// Every stage, in the order of the plan.
    fn stages(self) -> impl Iterator<Item = &'a StageView> {
        self.run.stages.iter()
    }

    /// Where each stage stands, in the order of the plan.
    pub fn statuses(self) -> impl Iterator<Item = StageStatus> + 'a {
        self.stages().map(|it| it.status)
    }

    /// How long a stage has taken so far: from its first attempt on, waits between attempts included; or
    /// how long it has waited for people. Nothing says until when an interrupted one went on.
    fn time_of(self, stage: &StageView) -> Option<Milliseconds> {
        let is_known = stage.status.is_finished() || !self.run.interrupted;
        stage.time_at(self.now).filter(|_| is_known)
    }

    /// How long the run has taken so far; before its start, how long it has waited for that.
    fn time_of_run(self) -> Milliseconds {
        self.run.time_at(self.now)
    }

    /// A command that a person may give: `trunkline logs 12 unit`.
    fn command(self, words: &str) -> String {
        command(words, self.server)
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

/// A command for a person, with the server that it has to name, if any.
#[must_use]
pub fn command(words: &str, server: &str) -> String {
    if server.is_empty() {
        format!("trunkline {words}")
    } else {
        format!("trunkline {words} --server {}", shell_word(server))
    }
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

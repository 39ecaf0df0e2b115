//! What follows from a command. Nothing is changed here: what follows from what follows is worked
//! out on a forecast that holds only the stages it touches.

use super::{Command, Event, Refused, Run};
use crate::model::{Milliseconds, StageIndex, Timestamp};

mod decision;
mod readiness;
mod lease;
mod start;
mod finish;
mod retry;
mod approval;
mod cancel;
mod tick;
mod rerun;

pub(super) use readiness::blocking_need;

/// How long an attempt that was asked to end may take before it is ended by force.
pub const GRACE: Milliseconds = Milliseconds::from_seconds(10);

impl Run {
    /// Turns a command into the facts that follow from it, or refuses it.
    pub fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Refused> {
        match command {
            Command::TakeLease { epoch, owner, instance } => {
                lease::take(self, lease::Driver { epoch: *epoch, owner, instance }, now)
            }
            Command::FinishAttempt { attempt, outcome, epoch } => {
                finish::finish_attempt(self, (attempt, *epoch), outcome, now)
            }
            Command::StartStep { attempt, step, epoch } => {
                start::start_step(self, (attempt, *epoch), *step)
            }
            Command::FinishStep { attempt, step, exit_code, epoch } => {
                finish::finish_step(self, (attempt, *epoch), *step, *exit_code)
            }
            Command::Rerun { scope, by, no_reuse } => {
                let asked = rerun::Asked { scope, by, no_reuse: *no_reuse };
                rerun::rerun(self, asked, now)
            }
            Command::Tick => Ok(tick::tick(self, now)),
            Command::Admit
            | Command::GrantSlot { .. }
            | Command::SkipOutdated { .. }
            | Command::StartAttempt { .. }
            | Command::Reuse { .. }
            | Command::Approve { .. }
            | Command::Reject { .. }
            | Command::Cancel { .. }
            | Command::Supersede { .. }
                if self.finished.is_some() =>
            {
                Err(Refused::AlreadyFinished)
            }
            Command::Admit => lease::admit(self, now),
            Command::GrantSlot { stage } => start::grant_slot(self, *stage),
            Command::SkipOutdated { stage, newer } => {
                start::skip_outdated(self, *stage, newer, now)
            }
            Command::StartAttempt { stage, epoch } => start::start_attempt(self, *stage, *epoch),
            Command::Reuse { stage, from, outcome } => {
                start::reuse(self, *stage, (from, outcome), now)
            }
            Command::Approve { stage, by, teams, names, comment } => {
                let voice = approval::Voice { by, teams, names, comment };
                approval::approve(self, *stage, voice, now)
            }
            Command::Reject { stage, by, teams, comment } => {
                let voice = approval::Voice { by, teams, names: &[], comment };
                approval::reject(self, *stage, voice, now)
            }
            Command::Cancel { by, reason } => cancel::cancel(self, by, reason, now),
            Command::Supersede { by } => cancel::supersede(self, by, now),
        }
    }

    fn refuse_status(&self, stage: StageIndex) -> Refused {
        match self.stage(stage) {
            Some(found) => {
                Refused::WrongStatus { stage: self.key(stage).to_owned(), status: found.status }
            }
            None => Refused::NoSuchStage(stage.0),
        }
    }
}

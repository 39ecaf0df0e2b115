//! What a reader of a run asks: for a person, at a moment of theirs.

use super::{AttemptView, OutcomeView, RunView, StageView};
use crate::model::{FailureClass, Milliseconds, StageIndex, StageStatus, Timestamp};

impl RunView {
    /// How long it has taken at a moment; before its start, how long it has waited for that.
    #[must_use]
    pub fn time_at(&self, now: Timestamp) -> Milliseconds {
        self.finished_at.unwrap_or(now).since(self.started_at.unwrap_or(self.created_at))
    }

    /// A stage, if there is one at this place.
    #[must_use]
    pub fn stage(&self, index: StageIndex) -> Option<&StageView> {
        self.stages.get(index.as_usize()).filter(|it| it.stage == index)
    }

    /// The key of a stage, for a person.
    #[must_use]
    pub fn key_of(&self, index: StageIndex) -> &str {
        self.stage(index).map_or("?", |it| it.key.as_str())
    }
}

/// Whether what a budget said is of one of the run itself, of its stages too: a re-run keeps both its plan, where that
/// budget stands, and what is used of it.
#[must_use]
pub fn is_of_own_budget(message: &str) -> bool {
    let id = message.split('`').nth(1).unwrap_or_default();
    id.starts_with("run #") || (id.starts_with("stage ") && id.contains(" of run #"))
}

impl StageView {
    /// Whether a budget of the run itself has ended it.
    #[must_use]
    pub fn is_over_own_budget(&self) -> bool {
        let (class, message) = self.failure();
        let is_failed = self.status == StageStatus::Failed && class == Some(FailureClass::Budget);
        is_failed && is_of_own_budget(message)
    }

    /// The attempts since its last re-run.
    #[must_use]
    pub fn present_attempts(&self) -> &[AttemptView] {
        let earlier = usize::try_from(self.earlier_attempts).unwrap_or(usize::MAX);
        self.attempts.get(earlier..).unwrap_or_default()
    }

    /// The attempt under way.
    #[must_use]
    pub fn open_attempt(&self) -> Option<&AttemptView> {
        self.attempts.last().filter(|it| it.finished_at.is_none())
    }

    /// What came of it since its last re-run: the reused result, or that of its last attempt.
    #[must_use]
    pub fn outcome(&self) -> Option<&OutcomeView> {
        let last = || self.present_attempts().last().and_then(|it| it.outcome.as_ref());
        self.reused_outcome.as_ref().or_else(last)
    }

    /// Why it failed: class and message, of its last attempt or of the stage itself.
    #[must_use]
    pub fn failure(&self) -> (Option<FailureClass>, &str) {
        (self.failure_class, self.failure_message.as_deref().unwrap_or_default())
    }

    /// How long it has taken at a moment, waits between attempts included; or how long it has waited for
    /// people.
    #[must_use]
    pub fn time_at(&self, now: Timestamp) -> Option<Milliseconds> {
        let until = self.waits_for.as_ref().and_then(|it| it.until);
        if let Some(until) = until.filter(|_| self.status == StageStatus::Waiting) {
            let left = until.since(now);
            return Some(Milliseconds(self.timeout_ms.0.saturating_sub(left.0)));
        }
        let attempts = self.present_attempts();
        let first = attempts.first()?;
        let end = attempts.last().and_then(|it| it.finished_at);
        let until = if self.status.is_finished() { end.unwrap_or(now) } else { now };
        Some(until.since(first.started_at))
    }

    /// How many more people must say yes, while it waits for them.
    #[must_use]
    pub fn missing_approvals(&self) -> u32 {
        self.waits_for.as_ref().and_then(|it| it.missing).unwrap_or(0)
    }
}

//! Facts about a run. Stored for good: a variant or field is never changed or removed, only added
//! with a default; each has a golden file in `tests/fixtures/events/`.

use serde::{Deserialize, Serialize};

use super::{AttemptOutcome, RerunScope};
use crate::model::{AttemptName, FailureClass, RunStatus, StageIndex, StageStatus, Timestamp};

/// Something that happened. Never refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A driver took the run over.
    LeaseTaken {
        /// Counts the drivers of this run, from 1.
        epoch: u64,
        /// Which process.
        owner: String,
        /// The state folder it works in: only there are its containers. Empty in old events.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        instance: String,
    },
    /// The run's concurrency group let it in.
    Admitted,
    /// The first stage may start: the run's clock runs. Once more after each re-run.
    RunStarted,
    /// Every need of the stage is met and its condition holds, or the delay of its next attempt
    /// is over.
    StageReady {
        /// Which stage.
        stage: StageIndex,
    },
    /// The stage's concurrency group gave it a slot.
    SlotGranted {
        /// Which stage.
        stage: StageIndex,
    },
    /// The stage will not run.
    StageSkipped {
        /// Which stage.
        stage: StageIndex,
        /// Why.
        reason: SkipReason,
    },
    /// An earlier green result stands for the stage.
    StageReused {
        /// Which stage.
        stage: StageIndex,
        /// The attempt that was green.
        from: AttemptName,
        /// Its outcome.
        outcome: AttemptOutcome,
    },
    /// An attempt began; its container may exist from now on.
    AttemptStarted {
        /// Which stage.
        stage: StageIndex,
        /// Counts from 1 over the life of the run, re-runs included.
        attempt: u32,
        /// Whose answer counts.
        epoch: u64,
    },
    /// A step began.
    StepStarted {
        /// Which stage.
        stage: StageIndex,
        /// Which attempt.
        attempt: u32,
        /// Its place in the stage.
        step: u32,
    },
    /// A step ended.
    StepFinished {
        /// Which stage.
        stage: StageIndex,
        /// Which attempt.
        attempt: u32,
        /// Its place in the stage.
        step: u32,
        /// Zero means success.
        exit_code: i32,
    },
    /// The attempt took too long, or the run was cancelled: it was asked to stop.
    StopRequested {
        /// Which stage.
        stage: StageIndex,
        /// Which attempt.
        attempt: u32,
        /// What its failure will be called.
        class: FailureClass,
        /// Why, as a sentence.
        message: String,
        /// When it is killed if it still runs.
        kill_at: Timestamp,
    },
    /// The attempt ended, gates judged.
    AttemptFinished {
        /// Which stage.
        stage: StageIndex,
        /// Which attempt.
        attempt: u32,
        /// What came of it.
        outcome: AttemptOutcome,
    },
    /// An answer of a driver that no longer has the run; recorded, and without effect.
    AnswerIgnored {
        /// Which stage.
        stage: StageIndex,
        /// Which attempt.
        attempt: u32,
        /// The epoch it spoke for.
        epoch: u64,
    },
    /// Another attempt follows.
    RetryScheduled {
        /// Which stage.
        stage: StageIndex,
        /// Not before.
        retry_at: Timestamp,
    },
    /// The stage waits for people.
    ApprovalRequested {
        /// Which stage.
        stage: StageIndex,
        /// When waiting ends.
        until: Timestamp,
    },
    /// A person said yes.
    Approved {
        /// Which stage.
        stage: StageIndex,
        /// Who.
        by: String,
        /// Why.
        comment: String,
    },
    /// A person said no.
    Rejected {
        /// Which stage.
        stage: StageIndex,
        /// Who.
        by: String,
        /// Why.
        comment: String,
    },
    /// The stage ended; nothing of it is left to do.
    StageFinished {
        /// Which stage.
        stage: StageIndex,
        /// `passed`, `failed` or `cancelled`.
        status: StageStatus,
        /// Whether the failure is allowed and the run goes on.
        #[serde(default)]
        allowed: bool,
        /// What went wrong when no attempt can say it: the condition has no value, people
        /// refused, or this version cannot do the work.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// Somebody asked to stop the run.
    CancelRequested {
        /// Who or what.
        by: String,
        /// Why.
        reason: String,
        /// Whether `always()` stages are not waited for either.
        #[serde(default)]
        force: bool,
    },
    /// The run took too long: everything stops, and it fails.
    RunTimedOut,
    /// The run ended.
    RunFinished {
        /// `passed`, `failed` or `cancelled`.
        status: RunStatus,
    },
    /// Somebody asked to try again.
    RerunRequested {
        /// What was asked.
        scope: RerunScope,
        /// Who.
        by: String,
        /// The stages that go back to pending.
        stages: Vec<StageIndex>,
        /// Whether no earlier result may stand for a stage.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        no_reuse: bool,
    },
}

impl Event {
    /// The one stage it speaks of; `None` when it is about the run.
    #[must_use]
    pub fn stage(&self) -> Option<StageIndex> {
        match self {
            Self::StageReady { stage }
            | Self::SlotGranted { stage }
            | Self::StageSkipped { stage, .. }
            | Self::StageReused { stage, .. }
            | Self::AttemptStarted { stage, .. }
            | Self::StepStarted { stage, .. }
            | Self::StepFinished { stage, .. }
            | Self::StopRequested { stage, .. }
            | Self::AttemptFinished { stage, .. }
            | Self::AnswerIgnored { stage, .. }
            | Self::RetryScheduled { stage, .. }
            | Self::ApprovalRequested { stage, .. }
            | Self::Approved { stage, .. }
            | Self::Rejected { stage, .. }
            | Self::StageFinished { stage, .. } => Some(*stage),
            Self::LeaseTaken { .. }
            | Self::Admitted
            | Self::RunStarted
            | Self::CancelRequested { .. }
            | Self::RunTimedOut
            | Self::RunFinished { .. }
            | Self::RerunRequested { .. } => None,
        }
    }
}

/// Why a stage failed without an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its class.
    pub class: FailureClass,
    /// What went wrong and what to do, for a person.
    pub message: String,
}

/// Why a stage did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SkipReason {
    /// Its `if` was false.
    Condition {
        /// The expression.
        expression: String,
    },
    /// A need that it cannot do without was skipped.
    NeedSkipped {
        /// That need.
        stage: StageIndex,
    },
    /// A need failed.
    NeedFailed {
        /// That need.
        stage: StageIndex,
    },
    /// A newer run has overtaken this one.
    Outdated {
        /// The newer run, as a person would name it.
        newer: String,
    },
    /// It was not asked for (`--stage`).
    NotSelected,
}

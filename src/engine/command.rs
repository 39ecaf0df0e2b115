//! What somebody asks of a run, and why it may be refused.

use super::AttemptOutcome;
use crate::model::{AttemptName, StageIndex};

/// A request that the run may still refuse.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A driver took the run over. Its epoch must be higher than every earlier one.
    TakeLease {
        /// Counts the drivers of this run, from 1.
        epoch: u64,
        /// Which process.
        owner: String,
        /// The state folder it works in. Attempts that were begun in another one are lost.
        instance: String,
    },
    /// The run's concurrency group let it in.
    Admit,
    /// The stage's concurrency group gave it a slot.
    GrantSlot {
        /// Which stage.
        stage: StageIndex,
    },
    /// A newer run of trunk has overtaken this one, so the stage is skipped.
    SkipOutdated {
        /// Which stage.
        stage: StageIndex,
        /// The newer run, as a person would name it.
        newer: String,
    },
    /// There is room: an attempt of the stage begins. Stored before anything is created.
    StartAttempt {
        /// Which stage.
        stage: StageIndex,
        /// Whose answer will count.
        epoch: u64,
    },
    /// A green attempt with the same inputs exists; its result stands for this stage.
    Reuse {
        /// Which stage.
        stage: StageIndex,
        /// The attempt that was green.
        from: AttemptName,
        /// Its outcome, artifacts included.
        outcome: AttemptOutcome,
    },
    /// A step of the attempt began.
    StartStep {
        /// Which attempt.
        attempt: AttemptName,
        /// Its place in the stage.
        step: u32,
        /// Whose word it is.
        epoch: u64,
    },
    /// A step of the attempt ended.
    FinishStep {
        /// Which attempt.
        attempt: AttemptName,
        /// Its place in the stage.
        step: u32,
        /// Zero means success.
        exit_code: i32,
        /// Whose word it is.
        epoch: u64,
    },
    /// The attempt is over: its exit is known and its files are safe.
    FinishAttempt {
        /// Which attempt.
        attempt: AttemptName,
        /// What came of it, as the world saw it; gates and cancels are judged by the engine.
        outcome: AttemptOutcome,
        /// Whose word it is.
        epoch: u64,
    },
    /// A person says yes to an approval stage.
    Approve {
        /// Which stage.
        stage: StageIndex,
        /// Who.
        by: String,
        /// The teams that the caller knows this person to be in.
        teams: Vec<String>,
        /// Their name and address, by which a commit may know them.
        names: Vec<String>,
        /// Why.
        comment: String,
    },
    /// A person says no to an approval stage.
    Reject {
        /// Which stage.
        stage: StageIndex,
        /// Who.
        by: String,
        /// The teams that the caller knows this person to be in.
        teams: Vec<String>,
        /// Why.
        comment: String,
    },
    /// Stop: first politely, and after the grace by force. A second one waits neither for the grace
    /// nor for `always()` stages.
    Cancel {
        /// Who or what asked.
        by: String,
        /// Why, as a sentence; may be empty.
        reason: String,
    },
    /// A newer run of its group takes its place: as [`Self::Cancel`], unless a stage that must not be
    /// interrupted is under way.
    Supersede {
        /// The newer run, as a person would name it.
        by: String,
    },
    /// Try again what a finished run did badly.
    Rerun {
        /// What exactly.
        scope: RerunScope,
        /// Who asked.
        by: String,
        /// Whether no earlier result may stand for a stage.
        no_reuse: bool,
    },
    /// Time has passed: whatever is due (timeouts, retries, approvals) happens.
    Tick,
}

/// What a re-run tries again; everything that follows from it is tried again too.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RerunScope {
    /// Every stage.
    All,
    /// What failed or was cancelled, and what was skipped because of that.
    Failed,
    /// These stages.
    Stages(Vec<StageIndex>),
}

/// Why a command was refused. The caller may show this to a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The run has ended.
    #[error("the run is already finished")]
    AlreadyFinished,
    /// A re-run of a run that has not ended.
    #[error("the run is not finished yet")]
    NotFinished,
    /// There is nothing to try again.
    #[error("no stage of the run failed")]
    NothingToRerun,
    /// The stage is not where the command expects it.
    #[error("stage `{stage}` is {status}")]
    WrongStatus {
        /// Key of the stage.
        stage: String,
        /// Where it stands.
        status: crate::model::StageStatus,
    },
    /// No stage has this place.
    #[error("the run has no stage number {0}")]
    NoSuchStage(u32),
    /// The same fact was recorded before.
    #[error("this was recorded before")]
    Duplicate,
    /// The epoch is not higher than the present driver's.
    #[error("another driver has the run since")]
    StaleEpoch,
    /// The person may not approve.
    #[error("{0}")]
    MayNotApprove(String),
    /// A stage that must not be interrupted is under way.
    #[error("a stage that must not be interrupted is under way")]
    NotInterruptible,
    /// An earlier result does not stand for the stage; an attempt is needed.
    #[error("the earlier result cannot be reused: {0}")]
    NotReusable(String),
}

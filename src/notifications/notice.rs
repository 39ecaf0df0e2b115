//! What people and programs are told: which events there are, and what is said of each. Pure.

use crate::engine::{Event, Run, Stage};
use crate::model::{RunStatus, StageIndex, Timestamp};
use crate::pipeline::plan::Work;
use crate::store::events::StoredEvent;

/// Failed stages that are named.
const STAGES_MAX: usize = 10;
/// Characters of a stage's reason.
const REASON_CHARS_MAX: usize = 300;

/// Something that people want to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum EventKind {
    /// A run has failed.
    #[serde(rename = "run.failed")]
    RunFailed,
    /// A run has passed.
    #[serde(rename = "run.passed")]
    RunPassed,
    /// A run has passed, and the one before it on its branch had failed.
    #[serde(rename = "run.recovered")]
    RunRecovered,
    /// People are asked.
    #[serde(rename = "approval.wanted")]
    ApprovalWanted,
    /// Half of a budget is spent, most of it, or all.
    #[serde(rename = "budget.alert")]
    BudgetAlert,
    /// Another subscription of the team gets nothing any more.
    #[serde(rename = "subscription.disabled")]
    SubscriptionDisabled,
    /// Somebody tries whether it arrives.
    #[serde(rename = "test")]
    Test,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Notice {
    /// What happened.
    pub event: EventKind,
    /// When.
    pub at: Timestamp,
    /// Name of the team.
    pub team: String,
    /// Name of the project, or empty.
    pub project: String,
    /// The run, if it is about one.
    #[serde(default)]
    pub run: Option<RunFacts>,
    /// Stages that have failed.
    #[serde(default)]
    pub failed: Vec<FailedStage>,
    /// What is asked.
    #[serde(default)]
    pub approval: Option<AskedFacts>,
    /// More, as a sentence; or empty.
    #[serde(default)]
    pub text: String,
}

/// The run that a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunFacts {
    /// Its id.
    pub id: String,
    /// Its number.
    pub number: i64,
    /// Name of the pipeline.
    pub pipeline: String,
    /// What started it.
    pub event: String,
    /// Branch, or empty.
    pub branch: String,
    /// Commit id.
    pub revision: String,
    /// Subject line of the commit.
    pub title: String,
    /// Where it stands.
    pub status: String,
    /// Its page, if the server knows its own address.
    pub url: Option<String>,
}

/// A stage that has failed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FailedStage {
    /// Its key.
    pub stage: String,
    /// Class of the failure.
    pub class: String,
    /// Why, in one line.
    pub reason: String,
}

/// What people are asked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AskedFacts {
    /// Key of the stage that waits.
    pub stage: String,
    /// Who may answer.
    pub by: Vec<String>,
    /// How many must say yes.
    pub count: u32,
    /// Until when.
    pub until: Timestamp,
}

impl EventKind {
    /// All kinds that can be subscribed to.
    pub const ALL: [Self; 6] = [
        Self::RunFailed,
        Self::RunPassed,
        Self::RunRecovered,
        Self::ApprovalWanted,
        Self::BudgetAlert,
        Self::SubscriptionDisabled,
    ];

    /// The word in tables and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunFailed => "run.failed",
            Self::RunPassed => "run.passed",
            Self::RunRecovered => "run.recovered",
            Self::ApprovalWanted => "approval.wanted",
            Self::BudgetAlert => "budget.alert",
            Self::SubscriptionDisabled => "subscription.disabled",
            Self::Test => "test",
        }
    }

    /// Reads the word of something that can be subscribed to.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// Words that a subscription may have for it, the most telling first: who wants both hears it once.
    pub(super) fn names(self) -> &'static [EventKind] {
        match self {
            Self::RunRecovered => &[Self::RunRecovered, Self::RunPassed],
            Self::RunFailed => &[Self::RunFailed],
            Self::RunPassed => &[Self::RunPassed],
            Self::ApprovalWanted => &[Self::ApprovalWanted],
            Self::BudgetAlert => &[Self::BudgetAlert],
            Self::SubscriptionDisabled => &[Self::SubscriptionDisabled],
            Self::Test => &[Self::Test],
        }
    }
}

/// Something of a run that somebody may want to hear of, and its place among the run's events.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) seq: i64,
    pub(super) event: EventKind,
    pub(super) at: Timestamp,
    pub(super) failed: Vec<FailedStage>,
    pub(super) approval: Option<AskedFacts>,
}

/// What the end of a run is called; nothing for a cancelled one.
fn ended(status: RunStatus, before: Option<RunStatus>) -> Option<EventKind> {
    match (status, before) {
        (RunStatus::Failed, _) => Some(EventKind::RunFailed),
        (RunStatus::Passed, Some(RunStatus::Failed)) => Some(EventKind::RunRecovered),
        (RunStatus::Passed, _) => Some(EventKind::RunPassed),
        _ => None,
    }
}

/// What is worth telling of these events; `before` is how the run before it on its branch ended.
pub(super) fn find(run: &Run, events: &[StoredEvent], before: Option<RunStatus>) -> Vec<Found> {
    let found = |stored: &StoredEvent| {
        let (event, approval) = if let Event::RunFinished { status } = &stored.event {
            (ended(*status, before)?, None)
        } else if let Event::ApprovalRequested { stage, until } = &stored.event {
            (EventKind::ApprovalWanted, Some(asked(run, *stage, *until)?))
        } else {
            return None;
        };
        let is_failure = event == EventKind::RunFailed;
        let failed = if is_failure { failed_stages(run) } else { Vec::new() };
        Some(Found { seq: stored.seq, event, at: stored.at, failed, approval })
    };
    events.iter().filter_map(found).collect()
}

fn asked(run: &Run, stage: StageIndex, until: Timestamp) -> Option<AskedFacts> {
    let planned = run.plan().stages.get(stage.as_usize())?;
    let Work::Approval(approval) = &planned.work else { return None };
    let (by, count) = (approval.by.clone(), approval.count);
    Some(AskedFacts { stage: planned.key.clone(), by, count, until })
}

fn failed_stages(run: &Run) -> Vec<FailedStage> {
    let failed = run.failed_stages().filter_map(|index| {
        let (planned, stage) = (run.plan().stages.get(index.as_usize())?, run.stage(index)?);
        let (class, reason) = reason_of(stage);
        Some(FailedStage { stage: planned.key.clone(), class, reason })
    });
    failed.take(STAGES_MAX).collect()
}

fn reason_of(stage: &Stage) -> (String, String) {
    let own = stage.failure.as_ref().map(|it| (Some(it.class), it.message.as_str()));
    let of_attempt = || stage.outcome().map(|it| (it.class, it.message.as_str()));
    let (class, message) = own.or_else(of_attempt).unwrap_or_default();
    let line: String =
        message.lines().next().unwrap_or_default().chars().take(REASON_CHARS_MAX).collect();
    (class.map(|it| it.to_string()).unwrap_or_default(), line)
}

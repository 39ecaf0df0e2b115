//! The state of a run, and what a reader may ask of it. Facts come in through [`Run::apply`] only.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    AttemptName, FailureClass, RunId, RunStatus, StageIndex, StageStatus, Timestamp,
};
use crate::pipeline::{Context, Plan, PlannedStage};

use super::event::{Failure, SkipReason};
use super::outcome::AttemptOutcome;

mod graph;
mod known;
mod progress;
mod agenda;
mod apply;
mod scope;
mod waiting;

pub(super) use agenda::{Agenda, Limit};
pub(super) use graph::Graph;
use known::Known;
pub(super) use progress::{Forecast, Progress, Standings, Totals, advance};
pub(super) use scope::{FreshOutcome, scope_of};
pub use waiting::WaitsFor;

/// One run: its plan and what has happened so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    id: RunId,
    plan: Arc<Plan>,
    context: Arc<Context>,
    known: Arc<Vec<Known>>,
    pub(super) graph: Arc<Graph>,
    pub(super) progress: Progress,
    pub(super) agenda: Agenda,
    pub(super) epoch: u64,
    /// The state folder of the driver.
    pub(super) instance: String,
    pub(super) admitted: bool,
    pub(super) halt: Option<Halt>,
    pub(super) cancellation: Option<Cancellation>,
    pub(super) may_reuse: bool,
    pub(super) started_at: Option<Timestamp>,
    pub(super) finished: Option<(RunStatus, Timestamp)>,
}

/// Who asked first to stop a run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// Login, or what else it was.
    pub by: String,
    /// For those who look at it later; may be empty.
    pub reason: String,
}

/// Why nothing new starts in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// Somebody cancelled it; `always()` stages still run.
    Cancel,
    /// Somebody cancelled it twice.
    Force,
    /// It took too long.
    Timeout,
}

/// One stage of a run, as a reader may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Where it stands.
    pub status: StageStatus,
    /// Why it was skipped, if it was.
    pub skip_reason: Option<SkipReason>,
    /// Whether its failure is allowed.
    pub allowed: bool,
    /// Why it failed, when no attempt can say it.
    pub failure: Option<Failure>,
    /// All its attempts, oldest first; the number of an attempt is its place plus one.
    pub attempts: Vec<Attempt>,
    /// How many of the attempts were made before the last re-run of the stage.
    pub earlier_attempts: usize,
    /// Who has approved.
    pub approvals: Vec<String>,
    /// The attempt whose result was reused, if so.
    pub reused_from: Option<AttemptName>,
    /// The result that was reused, if so.
    pub reused_outcome: Option<Box<AttemptOutcome>>,
    /// How many of its needs are not over: they have not ended, or something before them has not.
    pub unmet_needs: u32,
    /// Whether a stage before it, near or far, failed and was not allowed to.
    pub failed_before: bool,
    /// Whether it has a slot of its concurrency group. It keeps it between attempts, until it ends.
    pub has_slot: bool,
    /// When its next attempt may start, while that is delayed.
    pub retry_at: Option<Timestamp>,
    /// Until when it waits for people, while it does.
    pub waits_until: Option<Timestamp>,
}

impl Stage {
    fn new() -> Self {
        Self {
            status: StageStatus::Pending,
            skip_reason: None,
            allowed: false,
            failure: None,
            attempts: Vec::new(),
            earlier_attempts: 0,
            approvals: Vec::new(),
            reused_from: None,
            reused_outcome: None,
            unmet_needs: 0,
            failed_before: false,
            has_slot: false,
            retry_at: None,
            waits_until: None,
        }
    }

    /// The attempts since the last re-run of the stage.
    #[must_use]
    pub fn present_attempts(&self) -> &[Attempt] {
        self.attempts.get(self.earlier_attempts..).unwrap_or_default()
    }

    /// The attempt under way, with its number.
    #[must_use]
    pub fn open_attempt(&self) -> Option<(u32, &Attempt)> {
        let last = self.attempts.last().filter(|attempt| attempt.finished_at.is_none())?;
        Some((u32::try_from(self.attempts.len()).unwrap_or(u32::MAX), last))
    }

    /// What came of it since its last re-run: the reused result, or that of its last attempt.
    #[must_use]
    pub fn outcome(&self) -> Option<&AttemptOutcome> {
        let last = || self.present_attempts().last().and_then(|last| last.outcome.as_ref());
        self.reused_outcome.as_deref().or_else(last)
    }
}

/// One try of a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What came of it.
    pub outcome: Option<AttemptOutcome>,
    /// Its steps so far: when each began, when it ended, and its exit code.
    pub steps: BTreeMap<u32, Step>,
    /// That it was asked to end, and why.
    pub stop: Option<Stop>,
    /// The state folder of the driver that began it; empty when that is not known.
    pub instance: String,
}

/// One step of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, and with what exit code.
    pub finished: Option<(Timestamp, i32)>,
}

/// Why an attempt was asked to end before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// What its failure will be called.
    pub class: FailureClass,
    /// Why, as a sentence.
    pub message: String,
    /// When it is ended by force.
    pub kill_at: Timestamp,
}

impl Run {
    /// A run of which nothing has happened yet.
    #[must_use]
    pub fn new(id: RunId, plan: Arc<Plan>, context: Arc<Context>) -> Self {
        let graph = Graph::new(&plan);
        let mut stages = vec![Stage::new(); plan.stages.len()];
        for (stage, index) in stages.iter_mut().zip(0..) {
            let needs = graph.needs(StageIndex(index)).len();
            stage.unmet_needs = u32::try_from(needs).unwrap_or(u32::MAX);
        }
        let known = plan.stages.iter().map(Known::of).collect();
        let totals = Totals { unfinished: stages.len(), ..Totals::default() };
        Self {
            id,
            plan,
            context,
            known: Arc::new(known),
            graph: Arc::new(graph),
            progress: Progress { stages, totals },
            agenda: Agenda::default(),
            epoch: 0,
            instance: String::new(),
            admitted: false,
            halt: None,
            cancellation: None,
            may_reuse: true,
            started_at: None,
            finished: None,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Its plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Its facts.
    #[must_use]
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Who asked to stop it, since its last re-run.
    #[must_use]
    pub fn cancellation(&self) -> Option<&Cancellation> {
        self.cancellation.as_ref()
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        match (self.finished, self.halt, self.started_at) {
            (Some((status, _)), _, _) => status,
            (None, Some(_), _) => RunStatus::Cancelling,
            (None, None, None) => RunStatus::Queued,
            (None, None, Some(_)) if self.agenda.only_people_can_go_on() => RunStatus::Waiting,
            (None, None, Some(_)) => RunStatus::Running,
        }
    }

    /// The driver that has it, counted from 1; 0 before the first.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The state folder of that driver; empty before the first, or when it is not known.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Whether an earlier green result may stand for a stage, as far as the last re-run has a say.
    #[must_use]
    pub fn may_reuse(&self) -> bool {
        self.may_reuse
    }

    /// A stage, if the plan has one there.
    #[must_use]
    pub fn stage(&self, stage: StageIndex) -> Option<&Stage> {
        self.progress.stages.get(stage.as_usize())
    }

    /// All stages with their places, in the order of the plan.
    pub fn stages(&self) -> impl Iterator<Item = (StageIndex, &Stage)> {
        (0..).map(StageIndex).zip(&self.progress.stages)
    }

    /// Stages that failed and were not allowed to.
    pub fn failed_stages(&self) -> impl Iterator<Item = StageIndex> + '_ {
        let failed = |stage: &Stage| stage.status == StageStatus::Failed && !stage.allowed;
        self.stages().filter(move |(_, stage)| failed(stage)).map(|(index, _)| index)
    }

    /// When the first stage could start, and when the run ended; after a re-run, those of the re-run.
    #[must_use]
    pub fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.started_at, self.finished.map(|(_, at)| at))
    }

    /// Whether a newer run may cancel this one now: no stage that must not be interrupted is under
    /// way.
    #[must_use]
    pub fn is_interruptible(&self) -> bool {
        let has_begun =
            |stage: &Stage| !stage.status.is_finished() && !stage.present_attempts().is_empty();
        let mut begun = self.stages().filter(|(_, stage)| has_begun(stage));
        begun.all(|(index, _)| self.planned(index).is_none_or(|planned| planned.interruptible))
    }

    /// Why a stage did not run, as the end of a sentence.
    #[must_use]
    pub fn explain_skip(&self, reason: &SkipReason) -> String {
        match reason {
            SkipReason::Condition { expression } => format!("`if: {expression}` is false"),
            SkipReason::NeedSkipped { stage } => format!("`{}` was skipped", self.key(*stage)),
            SkipReason::NeedFailed { stage } => format!("`{}` failed", self.key(*stage)),
            SkipReason::Outdated { newer } => format!("{newer} has overtaken it"),
            SkipReason::NotSelected => "not asked for".to_owned(),
        }
    }

    pub(super) fn planned(&self, stage: StageIndex) -> Option<&PlannedStage> {
        self.plan.stages.get(stage.as_usize())
    }

    pub(super) fn known(&self, stage: StageIndex) -> Option<&Known> {
        self.known.get(stage.as_usize())
    }

    /// The key of a stage, for messages.
    pub(super) fn key(&self, stage: StageIndex) -> &str {
        self.planned(stage).map_or("", |planned| planned.key.as_str())
    }

    pub(super) fn name_attempt(&self, stage: StageIndex, attempt: u32) -> AttemptName {
        AttemptName { run: self.id.clone(), stage, attempt }
    }

    /// When the run has taken too long.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let is_over = self.finished.is_some() || self.halt == Some(Halt::Timeout);
        let started_at = self.started_at.filter(|_| !is_over)?;
        Some(started_at.plus(self.plan.timeout?))
    }
}

//! The state of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{AttemptOutcome, Command, Event, Refused, Wanted};
use crate::model::{RunId, RunStatus, StageIndex, StageStatus, Timestamp};
use crate::pipeline::{Context, Plan};

/// One run: its plan and what has happened so far.
#[derive(Debug, Clone)]
pub struct Run {
    id: RunId,
    plan: Arc<Plan>,
    context: Arc<Context>,
}

/// One stage of a run, as a reader may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Where it stands.
    pub status: StageStatus,
    /// Why it was skipped, if it was.
    pub skip_reason: Option<super::SkipReason>,
    /// Whether its failure is allowed.
    pub allowed: bool,
    /// All its attempts, oldest first; the number of an attempt is its place plus one.
    pub attempts: Vec<Attempt>,
    /// Who has approved.
    pub approvals: Vec<String>,
    /// The attempt whose result was reused, if so.
    pub reused_from: Option<crate::model::AttemptName>,
}

impl Stage {
    /// Its result.
    pub fn outcome(&self) -> Option<&AttemptOutcome> {
        None
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
}

/// One step of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, and with what exit code.
    pub finished: Option<(Timestamp, i32)>,
}

impl Run {
    /// A run of which nothing has happened yet.
    #[must_use]
    pub fn new(id: RunId, plan: Arc<Plan>, context: Arc<Context>) -> Self {
        Self { id, plan, context }
    }

    /// Turns a command into the facts that follow from it, or refuses it.
    pub fn decide(&self, _command: &Command, _now: Timestamp) -> Result<Vec<Event>, Refused> {
        unimplemented!()
    }

    /// Records a fact that happened at `at`. Total: a stored event is never refused.
    pub fn apply(&mut self, _event: &Event, _at: Timestamp) {
        unimplemented!()
    }

    /// What should be happening now, most urgent first. Lazy: the caller takes as much as it has
    /// room for.
    pub fn wanted(&self, _now: Timestamp) -> impl Iterator<Item = Wanted> + '_ {
        std::iter::empty()
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

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        unimplemented!()
    }

    /// The driver that has it, counted from 1; 0 before the first.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        unimplemented!()
    }

    /// A stage, if the plan has one there.
    #[must_use]
    pub fn stage(&self, _stage: StageIndex) -> Option<&Stage> {
        unimplemented!()
    }

    /// When the first stage could start, and when the run ended.
    #[must_use]
    pub fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        unimplemented!()
    }

    /// What an expression of this stage can see now: needs, matrix, context, whether one failed.
    #[must_use]
    pub fn scope(&self, _stage: StageIndex) -> crate::pipeline::Scope<'_> {
        unimplemented!()
    }
}

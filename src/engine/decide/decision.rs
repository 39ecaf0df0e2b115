//! The facts decided so far, and how the run would stand after them.

use std::collections::VecDeque;

use super::readiness::{self, Verdict};
use crate::engine::event::Failure;
use crate::engine::run::{Forecast, FreshOutcome, Halt, Run, Standings, advance};
use crate::engine::{AttemptOutcome, Event};
use crate::model::{FailureClass, RunStatus, StageIndex, StageStatus, Timestamp};
use crate::pipeline::Scope;
use crate::pipeline::plan::Work;

/// Facts on their way. What follows from a fact is worked out by [`Decision::settle`], stage by
/// stage and without recursion, so a chain of a hundred thousand skips is a loop.
#[derive(Debug)]
pub(super) struct Decision<'a> {
    pub(super) run: &'a Run,
    pub(super) now: Timestamp,
    pub(super) halt: Option<Halt>,
    fresh: FreshOutcome<'a>,
    forecast: Forecast<'a>,
    events: Vec<Event>,
    /// Stages whose last need has come to its end, still to be judged.
    met: VecDeque<StageIndex>,
}

impl<'a> Decision<'a> {
    pub(super) fn new(run: &'a Run, now: Timestamp) -> Self {
        Self {
            run,
            now,
            halt: run.halt,
            fresh: None,
            forecast: Forecast::new(&run.progress),
            events: Vec::new(),
            met: VecDeque::new(),
        }
    }

    /// The same, with an outcome that conditions of later stages may already ask for.
    pub(super) fn with_outcome(
        run: &'a Run,
        now: Timestamp,
        stage: StageIndex,
        outcome: &'a AttemptOutcome,
    ) -> Self {
        Self { fresh: Some((stage, outcome)), ..Self::new(run, now) }
    }

    pub(super) fn record(&mut self, event: Event) {
        let met = &mut self.met;
        advance(&mut self.forecast, &self.run.graph, &event, |stage| met.push_back(stage));
        self.events.push(event);
    }

    /// Starts the run's clock, and every stage that waits for nothing.
    pub(super) fn start_run(&mut self) {
        self.record(Event::RunStarted);
        let stages = self.run.stages().map(|(index, _)| index);
        let waits_for_nothing = |stage: &StageIndex| {
            let standing = self.forecast.standing(*stage);
            standing.is_some_and(|it| it.status == StageStatus::Pending && it.unmet_needs == 0)
        };
        self.met.extend(stages.filter(waits_for_nothing));
    }

    pub(super) fn pass(&mut self, stage: StageIndex) {
        let (status, allowed, failure) = (StageStatus::Passed, false, None);
        self.record(Event::StageFinished { stage, status, allowed, failure });
    }

    /// Ends a stage badly: `cancelled` if that is what happened to it, else `failed`.
    pub(super) fn fail(
        &mut self,
        stage: StageIndex,
        class: FailureClass,
        failure: Option<Failure>,
    ) {
        let is_cancelled = class == FailureClass::Cancelled;
        let status = if is_cancelled { StageStatus::Cancelled } else { StageStatus::Failed };
        let allowed = status == StageStatus::Failed && self.is_failure_allowed(stage);
        self.record(Event::StageFinished { stage, status, allowed, failure });
    }

    fn is_failure_allowed(&self, stage: StageIndex) -> bool {
        let allow = self.run.planned(stage).and_then(|it| it.allow_failure.as_ref());
        let is_in_time = |until: Option<Timestamp>| until.is_none_or(|until| self.now < until);
        self.halt != Some(Halt::Timeout) && allow.is_some_and(|allow| is_in_time(allow.until))
    }

    /// Works out everything that follows, the end of the run included.
    pub(super) fn settle(mut self) -> Vec<Event> {
        while let Some(stage) = self.met.pop_front() {
            let standing = self.forecast.standing(stage);
            if standing.is_some_and(|it| it.status == StageStatus::Pending) {
                self.judge(stage);
            }
        }
        if self.forecast.totals().unfinished == 0 {
            let status = self.final_status();
            self.record(Event::RunFinished { status });
        }
        self.events
    }

    /// The facts as they are; nothing follows from them.
    pub(super) fn into_events(self) -> Vec<Event> {
        self.events
    }

    fn judge(&mut self, stage: StageIndex) {
        match readiness::verdict(self.run, &self.forecast, stage, || self.scope(stage)) {
            Verdict::Run => self.begin_stage(stage),
            Verdict::Skip(reason) => self.record(Event::StageSkipped { stage, reason }),
            Verdict::Fail(failure) => self.fail(stage, failure.class, Some(failure)),
        }
    }

    fn begin_stage(&mut self, stage: StageIndex) {
        let Some(planned) = self.run.planned(stage) else { return };
        match &planned.work {
            Work::Container(_) | Work::Image(_) => self.record(Event::StageReady { stage }),
            Work::Approval(approval) => {
                let until = self.now.plus(approval.timeout);
                self.record(Event::ApprovalRequested { stage, until });
            }
            Work::Builtin { name, .. } => {
                let message =
                    format!("`builtin/{name}` is not in this version; known: `builtin/image`");
                let failure = Failure { class: FailureClass::User, message };
                self.fail(stage, failure.class, Some(failure));
            }
        }
    }

    fn scope(&self, stage: StageIndex) -> Scope<'a> {
        crate::engine::run::scope_of(self.run, &self.forecast, self.fresh, stage)
    }

    fn final_status(&self) -> RunStatus {
        let totals = self.forecast.totals();
        match self.halt {
            Some(Halt::Timeout) => RunStatus::Failed,
            _ if totals.failed > 0 => RunStatus::Failed,
            Some(Halt::Cancel | Halt::Force) => RunStatus::Cancelled,
            None if totals.cancelled > 0 => RunStatus::Cancelled,
            None => RunStatus::Passed,
        }
    }
}

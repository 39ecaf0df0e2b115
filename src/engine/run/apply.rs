//! Recording facts. Total: a fact that makes no sense (a stage that the plan does not have) changes
//! nothing, and no fact is ever refused.

use super::agenda::Entry;
use super::{Attempt, Cancellation, Halt, Run, Stage, Step, Stop, advance};
use crate::engine::Event;
use crate::model::{StageIndex, Timestamp};

impl Run {
    /// Records a fact that happened at `at`. Total: a stored event is never refused.
    pub fn apply(&mut self, event: &Event, at: Timestamp) {
        if let Some(stage) = event.stage() {
            self.change_stage(stage, event, at);
            return;
        }
        match event {
            Event::LeaseTaken { epoch, instance, .. } => {
                self.epoch = *epoch;
                self.instance.clone_from(instance);
            }
            Event::Admitted => self.admitted = true,
            Event::RunStarted => self.started_at = Some(at),
            Event::CancelRequested { by, reason, force } => {
                let (by, reason) = (by.clone(), reason.clone());
                self.cancellation.get_or_insert(Cancellation { by, reason });
                self.halt = Some(if *force { Halt::Force } else { Halt::Cancel });
            }
            Event::RunTimedOut => self.halt = Some(Halt::Timeout),
            Event::RunFinished { status } => self.finished = Some((*status, at)),
            Event::RerunRequested { stages, no_reuse, .. } => {
                self.may_reuse = !no_reuse;
                self.go_back(event, stages);
            }
            Event::StageReady { .. }
            | Event::SlotGranted { .. }
            | Event::StageSkipped { .. }
            | Event::StageReused { .. }
            | Event::AttemptStarted { .. }
            | Event::StepStarted { .. }
            | Event::StepFinished { .. }
            | Event::StopRequested { .. }
            | Event::AttemptFinished { .. }
            | Event::AnswerIgnored { .. }
            | Event::RetryScheduled { .. }
            | Event::ApprovalRequested { .. }
            | Event::Approved { .. }
            | Event::Rejected { .. }
            | Event::StageFinished { .. } => (), // Facts about a stage, dealt with above.
        }
    }

    fn change_stage(&mut self, index: StageIndex, event: &Event, at: Timestamp) {
        let before = self.entry(index);
        self.agenda.remove(index, &before);
        if let Some(stage) = self.progress.stages.get_mut(index.as_usize()) {
            stage.record(event, at);
            if let (Event::AttemptStarted { .. }, Some(begun)) = (event, stage.attempts.last_mut())
            {
                begun.instance.clone_from(&self.instance);
            }
        }
        advance(&mut self.progress, &self.graph, event, |_| ());
        let after = self.entry(index);
        self.agenda.insert(index, &after);
    }

    /// Starts a new round: these stages forget what came of them, but not their attempts.
    fn go_back(&mut self, event: &Event, stages: &[StageIndex]) {
        for index in stages {
            let before = self.entry(*index);
            self.agenda.remove(*index, &before);
            if let Some(stage) = self.progress.stages.get_mut(index.as_usize()) {
                stage.forget();
            }
        }
        advance(&mut self.progress, &self.graph, event, |_| ());
        self.admitted = false;
        self.halt = None;
        self.cancellation = None;
        self.started_at = None;
        self.finished = None;
    }

    fn entry(&self, index: StageIndex) -> Entry {
        match (self.stage(index), self.planned(index)) {
            (Some(stage), Some(planned)) => Entry::of(index, stage, planned, &self.graph),
            _ => Entry::Nothing,
        }
    }
}

impl Stage {
    /// Writes down what the fact says about this stage; its status and counts follow in [`advance`].
    fn record(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::StageReady { .. } => self.retry_at = None,
            Event::SlotGranted { .. } => self.has_slot = true,
            Event::StageSkipped { reason, .. } => {
                self.skip_reason = Some(reason.clone());
                self.has_slot = false;
            }
            Event::StageReused { from, outcome, .. } => {
                self.reused_from = Some(from.clone());
                self.reused_outcome = Some(Box::new(outcome.clone()));
            }
            Event::RetryScheduled { retry_at, .. } => self.retry_at = Some(*retry_at),
            Event::ApprovalRequested { until, .. } => self.waits_until = Some(*until),
            Event::Approved { by, .. } => self.approvals.push(by.clone()),
            Event::StageFinished { failure, .. } => {
                self.failure.clone_from(failure);
                self.has_slot = false;
                self.retry_at = None;
                self.waits_until = None;
            }
            Event::AttemptStarted { .. } => self.attempts.push(Attempt::new(at)),
            Event::StepStarted { attempt, step, .. } => self.change_attempt(*attempt, |attempt| {
                attempt.steps.insert(*step, Step { started_at: at, finished: None });
            }),
            Event::StepFinished { attempt, step, exit_code, .. } => {
                self.change_attempt(*attempt, |attempt| {
                    if let Some(step) = attempt.steps.get_mut(step) {
                        step.finished = Some((at, *exit_code));
                    }
                });
            }
            Event::StopRequested { attempt, class, message, kill_at, .. } => {
                let stop = Stop { class: *class, message: message.clone(), kill_at: *kill_at };
                self.change_attempt(*attempt, |attempt| attempt.stop = Some(stop));
            }
            Event::AttemptFinished { attempt, outcome, .. } => {
                self.change_attempt(*attempt, |attempt| {
                    attempt.finished_at = Some(at);
                    attempt.outcome = Some(outcome.clone());
                });
            }
            // The first two are kept for readers of the log, the others are facts about the run.
            Event::AnswerIgnored { .. }
            | Event::Rejected { .. }
            | Event::LeaseTaken { .. }
            | Event::Admitted
            | Event::RunStarted
            | Event::CancelRequested { .. }
            | Event::RunTimedOut
            | Event::RunFinished { .. }
            | Event::RerunRequested { .. } => (),
        }
    }

    fn change_attempt(&mut self, number: u32, change: impl FnOnce(&mut Attempt)) {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        if let Some(attempt) = place.and_then(|place| self.attempts.get_mut(place)) {
            change(attempt);
        }
    }

    fn forget(&mut self) {
        let attempts = std::mem::take(&mut self.attempts);
        // The status stays until `advance` takes it out of the totals.
        let (status, allowed) = (self.status, self.allowed);
        let earlier_attempts = attempts.len();
        *self = Self { status, allowed, attempts, earlier_attempts, ..Self::new() };
    }
}

impl Attempt {
    fn new(started_at: Timestamp) -> Self {
        Self {
            started_at,
            finished_at: None,
            outcome: None,
            steps: std::collections::BTreeMap::new(),
            stop: None,
            instance: String::new(),
        }
    }
}

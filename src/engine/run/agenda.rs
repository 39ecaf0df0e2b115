//! What is to be done and when, found without looking at every stage. An index: each stage has at
//! most one entry, and that follows from its state alone.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{Attempt, Graph, Stage};
use crate::model::{Milliseconds, StageIndex, StageStatus, Timestamp};
use crate::pipeline::PlannedStage;
use crate::pipeline::plan::{Program, Work};

/// Stages by what they are about to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::engine) struct Agenda {
    /// May start; what has the most stages behind it comes first.
    pub(in crate::engine) ready: BTreeSet<(Reverse<u32>, StageIndex)>,
    /// Need a slot of their concurrency group first.
    pub(in crate::engine) without_slot: BTreeSet<StageIndex>,
    /// Have an attempt under way, or about to be told to end.
    pub(in crate::engine) open: BTreeSet<StageIndex>,
    /// Of those, the ones with a time limit that still counts, by the moment it is reached.
    pub(in crate::engine) limited: BTreeSet<(Timestamp, StageIndex)>,
    /// Of those, the ones that were asked to end, by the moment they are ended by force.
    pub(in crate::engine) stopping: BTreeSet<(Timestamp, StageIndex)>,
    /// Wait for the delay of their next attempt.
    pub(in crate::engine) delayed: BTreeSet<(Timestamp, StageIndex)>,
    /// Wait for people.
    pub(in crate::engine) waiting: BTreeSet<(Timestamp, StageIndex)>,
}

impl Agenda {
    /// Takes a stage off, which is still as it was when it was put on.
    pub(super) fn remove(&mut self, stage: StageIndex, entry: &Entry) {
        match entry {
            Entry::Nothing => (),
            Entry::Ready(depth) => _ = self.ready.remove(&(Reverse(*depth), stage)),
            Entry::WithoutSlot => _ = self.without_slot.remove(&stage),
            Entry::Limited(until) => {
                self.open.remove(&stage);
                self.limited.remove(&(*until, stage));
            }
            Entry::Stopping(kill_at) => {
                self.open.remove(&stage);
                self.stopping.remove(&(*kill_at, stage));
            }
            Entry::Delayed(until) => _ = self.delayed.remove(&(*until, stage)),
            Entry::Waiting(until) => _ = self.waiting.remove(&(*until, stage)),
        }
    }

    /// Puts a stage on.
    pub(super) fn insert(&mut self, stage: StageIndex, entry: &Entry) {
        match entry {
            Entry::Nothing => (),
            Entry::Ready(depth) => _ = self.ready.insert((Reverse(*depth), stage)),
            Entry::WithoutSlot => _ = self.without_slot.insert(stage),
            Entry::Limited(until) => {
                self.open.insert(stage);
                self.limited.insert((*until, stage));
            }
            Entry::Stopping(kill_at) => {
                self.open.insert(stage);
                self.stopping.insert((*kill_at, stage));
            }
            Entry::Delayed(until) => _ = self.delayed.insert((*until, stage)),
            Entry::Waiting(until) => _ = self.waiting.insert((*until, stage)),
        }
    }

    /// Whether approvals are awaited and nothing else is under way.
    pub(super) fn only_people_can_go_on(&self) -> bool {
        !self.waiting.is_empty()
            && self.open.is_empty()
            && self.ready.is_empty()
            && self.without_slot.is_empty()
            && self.delayed.is_empty()
    }
}

/// The place of one stage on the agenda.
#[derive(Debug)]
pub(super) enum Entry {
    Nothing,
    Ready(u32),
    WithoutSlot,
    Limited(Timestamp),
    Stopping(Timestamp),
    Delayed(Timestamp),
    Waiting(Timestamp),
}

impl Entry {
    pub(super) fn of(
        index: StageIndex,
        stage: &Stage,
        planned: &PlannedStage,
        graph: &Graph,
    ) -> Self {
        match stage.status {
            StageStatus::Ready if planned.concurrency.is_some() && !stage.has_slot => {
                Self::WithoutSlot
            }
            StageStatus::Ready => Self::Ready(graph.depth(index)),
            StageStatus::Running => match stage.open_attempt() {
                Some((_, attempt)) => Self::of_attempt(attempt, planned),
                None => Self::Nothing,
            },
            StageStatus::Delayed => stage.retry_at.map_or(Self::Nothing, Self::Delayed),
            StageStatus::Waiting => stage.waits_until.map_or(Self::Nothing, Self::Waiting),
            StageStatus::Pending
            | StageStatus::Passed
            | StageStatus::Failed
            | StageStatus::Skipped
            | StageStatus::Cancelled => Self::Nothing,
        }
    }

    fn of_attempt(attempt: &Attempt, planned: &PlannedStage) -> Self {
        match &attempt.stop {
            Some(stop) => Self::Stopping(stop.kill_at),
            None => Self::Limited(Limit::next(attempt, planned).until),
        }
    }
}

/// How long something may take, and since when that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Limit<'a> {
    /// The step; `None` is the attempt as a whole.
    pub(in crate::engine) step: Option<&'a str>,
    pub(in crate::engine) span: Milliseconds,
    pub(in crate::engine) until: Timestamp,
}

impl<'a> Limit<'a> {
    /// The limit that an attempt under way reaches first.
    pub(in crate::engine) fn next(attempt: &Attempt, planned: &'a PlannedStage) -> Self {
        let span = planned.timeout;
        let whole = Self { step: None, span, until: attempt.started_at.plus(span) };
        let steps = attempt.steps.iter().filter(|(_, step)| step.finished.is_none());
        let limits = steps.filter_map(|(number, step)| {
            let planned = planned_step(planned, *number)?;
            let span = planned.timeout?;
            Some(Self { step: Some(&planned.name), span, until: step.started_at.plus(span) })
        });
        limits.fold(whole, |first, limit| if limit.until < first.until { limit } else { first })
    }
}

fn planned_step(planned: &PlannedStage, number: u32) -> Option<&crate::pipeline::plan::Step> {
    let Work::Container(work) = &planned.work else { return None };
    let Program::Steps(steps) = &work.program else { return None };
    steps.get(usize::try_from(number).ok()?)
}

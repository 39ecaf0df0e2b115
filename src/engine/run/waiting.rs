//! Why a stage does not run yet, for a person who asks.

use std::collections::BTreeSet;

use super::Run;
use crate::model::{StageIndex, StageStatus, Timestamp};

/// What a stage that has not ended waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitsFor {
    /// A driver that takes the run over.
    Driver,
    /// The run's concurrency group.
    Admission {
        /// Its name.
        group: String,
    },
    /// These needs, near or far.
    Needs(Vec<StageIndex>),
    /// A slot of its concurrency group.
    Slot {
        /// Its name.
        group: String,
    },
    /// Room on a worker.
    Room,
    /// The delay before its next attempt.
    Retry {
        /// When that is over.
        until: Timestamp,
    },
    /// People who approve.
    People {
        /// How many more.
        missing: u32,
        /// Until when.
        until: Timestamp,
    },
    /// The end of its attempt.
    Attempt,
}

impl Run {
    /// What the stage waits for; `None` once it has ended.
    #[must_use]
    pub fn waits_for(&self, index: StageIndex) -> Option<WaitsFor> {
        let (stage, planned) = (self.stage(index)?, self.planned(index)?);
        match stage.status {
            StageStatus::Pending => Some(self.pending_waits_for(index)),
            StageStatus::Ready => Some(match &planned.concurrency {
                Some(group) if !stage.has_slot => WaitsFor::Slot { group: group.group.clone() },
                _ => WaitsFor::Room,
            }),
            StageStatus::Running => Some(WaitsFor::Attempt),
            StageStatus::Delayed => stage.retry_at.map(|until| WaitsFor::Retry { until }),
            StageStatus::Waiting => {
                let missing = self.missing_approvals(index);
                stage.waits_until.map(|until| WaitsFor::People { missing, until })
            }
            StageStatus::Passed
            | StageStatus::Failed
            | StageStatus::Skipped
            | StageStatus::Cancelled => None,
        }
    }

    fn pending_waits_for(&self, index: StageIndex) -> WaitsFor {
        match &self.plan.concurrency {
            _ if self.epoch == 0 => WaitsFor::Driver,
            Some(group) if !self.admitted => WaitsFor::Admission { group: group.group.clone() },
            _ => WaitsFor::Needs(self.open_needs(index).into_iter().collect()),
        }
    }

    /// The needs that have not ended, and behind those that have ended too early (a cancelled stage may
    /// while what it waited for is still stopping) the ones before them.
    fn open_needs(&self, index: StageIndex) -> BTreeSet<StageIndex> {
        let (mut open, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut todo = vec![index];
        while let Some(index) = todo.pop() {
            for need in self.graph.needs(index) {
                let Some(stage) = self.stage(*need) else { continue };
                if !stage.status.is_finished() {
                    open.insert(*need);
                } else if stage.unmet_needs > 0 && seen.insert(*need) {
                    todo.push(*need);
                }
            }
        }
        open
    }
}

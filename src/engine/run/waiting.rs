//! Why a stage does not run yet, for a person who asks.

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
    /// These needs.
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
            _ => {
                let is_open = |need: &StageIndex| {
                    self.stage(*need).is_some_and(|stage| !stage.status.is_finished())
                };
                WaitsFor::Needs(self.graph.needs(index).iter().copied().filter(is_open).collect())
            }
        }
    }
}

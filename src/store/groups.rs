//! The table `group_slots`: who waits for, and who has, a slot of a concurrency group.

use super::{Store, StoreError};
use crate::model::{RunId, StageIndex, Timestamp};

/// Somebody who wants a slot.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotRequest<'a> {
    /// Name of the group; `run:` or `stage:` and the repository stand before it.
    pub group: &'a str,
    /// The run.
    pub run: &'a RunId,
    /// The stage; `None` for the run as a whole.
    pub stage: Option<StageIndex>,
    /// How many may have one.
    pub limit: u32,
    /// Place in trunk; the lowest is served first, then the id of the run.
    pub order: i64,
    /// When it was first asked for.
    pub now: Timestamp,
}

/// The answer to a [`SlotRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotAnswer {
    /// It has one now (or had one before).
    Granted,
    /// It waits; these runs have or come before it.
    Waiting {
        /// In the order they are served.
        behind: Vec<RunId>,
    },
}

impl Store {
    /// Asks for a slot: writes the request down when it is new, and grants it when its turn has come and
    /// a slot is free. Atomic: the limit is never exceeded.
    pub async fn request_slot(&self, _request: &SlotRequest<'_>) -> Result<SlotAnswer, StoreError> {
        unimplemented!()
    }

    /// Gives back (or no longer waits for) a slot.
    pub async fn release_slot(
        &self,
        _group: &str,
        _run: &RunId,
        _stage: Option<StageIndex>,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Gives back everything a run has or waits for.
    pub async fn release_slots_of(&self, _run: &RunId) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Runs that have or wait for a slot of a run-level group, oldest first.
    pub async fn list_group(&self, _group: &str) -> Result<Vec<RunId>, StoreError> {
        unimplemented!()
    }
}

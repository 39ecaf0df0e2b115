//! The tables `runs`, `run_plans` and `run_events`.

use super::{Store, StoreError};
use crate::engine::Event;
use crate::model::{RunId, RunStatus, Timestamp};

/// A run to insert.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Where the code comes from: a folder or an address.
    pub repository: String,
    /// `push`, `pull_request`, `schedule` or `manual`.
    pub event: String,
    /// Branch, or empty.
    pub branch: String,
    /// Commit id.
    pub revision: String,
    /// Git tree that is checked out (differs from the commit's when the working tree is dirty).
    pub tree: String,
    /// Subject line of the commit.
    pub title: String,
    /// The plan as JSON.
    pub plan: String,
    /// The context as JSON.
    pub context: String,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// One row of `runs`: what lists and filters need. `status` follows the events.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// Counts the runs of this database, from 1; for people.
    pub number: i64,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Where the code comes from.
    pub repository: String,
    /// What started it.
    pub event: String,
    /// Branch, or empty.
    pub branch: String,
    /// Commit id.
    pub revision: String,
    /// Git tree.
    pub tree: String,
    /// Subject line of the commit.
    pub title: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Number of stored events; the next one has this sequence number.
    pub events: i64,
    /// Epoch of the lease; 0 before the first driver.
    pub lease_epoch: i64,
    /// Who holds the lease, or empty.
    pub lease_owner: String,
    /// Until when the lease holds.
    pub lease_until: Timestamp,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// One stored event.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its place in the run, from 0.
    pub seq: i64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// Events to append, and what follows from them for the row. One transaction.
#[derive(Debug, Clone)]
pub struct Append<'a> {
    /// Which run.
    pub run: &'a RunId,
    /// Sequence number of the first event; must be the number of events stored.
    pub seq: i64,
    /// The events.
    pub events: &'a [Event],
    /// When they happened.
    pub at: Timestamp,
    /// Where the run stands after them.
    pub status: RunStatus,
    /// When it ended, if it has.
    pub finished_at: Option<Timestamp>,
}

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only this pipeline.
    pub pipeline: Option<String>,
    /// Only this repository.
    pub repository: Option<String>,
    /// Only these statuses; all when empty.
    pub statuses: Vec<RunStatus>,
    /// Only runs created before this one (its id), for paging.
    pub before: Option<RunId>,
    /// At most this many, newest first.
    pub limit: u32,
}

impl Store {
    /// Adds a queued run with its plan and context; gives its number.
    pub async fn insert_run(&self, _run: &NewRun) -> Result<i64, StoreError> {
        unimplemented!()
    }

    /// The run with this id.
    pub async fn find_run(&self, _id: &RunId) -> Result<Option<RunRow>, StoreError> {
        unimplemented!()
    }

    /// The run with this number.
    pub async fn find_run_by_number(&self, _number: i64) -> Result<Option<RunRow>, StoreError> {
        unimplemented!()
    }

    /// Runs, newest first.
    pub async fn list_runs(&self, _filter: &RunFilter) -> Result<Vec<RunRow>, StoreError> {
        unimplemented!()
    }

    /// Plan and context of a run, as JSON.
    pub async fn find_plan(&self, _id: &RunId) -> Result<Option<(String, String)>, StoreError> {
        unimplemented!()
    }

    /// Events of a run from `from_seq` on.
    pub async fn list_events(
        &self,
        _id: &RunId,
        _from_seq: i64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        unimplemented!()
    }

    /// Appends events; [`StoreError::Conflict`] when somebody else has appended first.
    pub async fn append_events(&self, _append: &Append<'_>) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Takes the lease when it is free, over, or `steal` is set (the caller knows that the holder is
    /// dead). Gives the new epoch, or `None` when somebody else has it.
    pub async fn claim_lease(
        &self,
        _id: &RunId,
        _owner: &str,
        _now: Timestamp,
        _until: Timestamp,
        _steal: bool,
    ) -> Result<Option<i64>, StoreError> {
        unimplemented!()
    }

    /// Prolongs the lease; false when somebody else has it.
    pub async fn renew_lease(
        &self,
        _id: &RunId,
        _epoch: i64,
        _until: Timestamp,
    ) -> Result<bool, StoreError> {
        unimplemented!()
    }

    /// Gives the lease back.
    pub async fn release_lease(&self, _id: &RunId, _epoch: i64) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Removes a finished run and everything that hangs on it.
    pub async fn delete_run(&self, _id: &RunId) -> Result<(), StoreError> {
        unimplemented!()
    }
}

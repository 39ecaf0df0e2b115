//! Runs that pages look into whenever somebody asks what waits for whom: they are kept as they were last read, and
//! only what has happened since is read.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::{LoadedRun, Runs, RunsError};
use crate::model::RunId;
use crate::store::runs::RunRow;

/// Runs that are kept.
const KEPT: u64 = 256;
/// How long one is kept that nobody looks into.
const KEPT_FOR: Duration = Duration::from_mins(5);

/// Them, by id.
#[derive(Debug, Clone)]
pub(super) struct Listed(Cache<RunId, Arc<LoadedRun>>);

impl Listed {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(KEPT).time_to_idle(KEPT_FOR).build())
    }
}

impl Runs {
    /// As [`Runs::load`], of a run that was listed just now.
    pub async fn load_listed(&self, row: RunRow) -> Result<LoadedRun, RunsError> {
        let kept = self.listed.0.get(&row.id);
        let mut loaded = match &kept {
            Some(kept) => LoadedRun { row, run: kept.run.clone(), seq: kept.seq },
            None => self.load(&row.id).await?,
        };
        if loaded.seq < loaded.row.events {
            self.refresh(&mut loaded).await?;
        }
        if kept.is_none_or(|it| it.seq < loaded.seq) {
            self.listed.0.insert(loaded.row.id.clone(), Arc::new(loaded.clone()));
        }
        Ok(loaded)
    }
}

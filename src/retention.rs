//! Removes what has been kept for long enough: a little at a time, so that nobody waits for it. Never what an
//! unfinished run needs, the newest runs of a project, or the last green ones of its trunk.

mod bytes;
mod rows;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::blobs::{BlobError, Blobs, Hold, Logs};
use crate::config::RetentionSettings;
use crate::model::{Clock, RunId, Timestamp};
use crate::store::{Store, StoreError};

/// Between two times, and before the first.
const EVERY: Duration = Duration::from_hours(1);
const FIRST: Duration = Duration::from_mins(5);
/// Rows that one statement removes at most.
const BATCH: u32 = 200;
/// Between two of them, so that others come in between.
const PAUSE: Duration = Duration::from_millis(20);
const DAY_MILLISECONDS: i64 = 24 * 3600 * 1000;

/// Why something could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// A backup is being written.
    #[error("a backup is being written, and nothing is removed meanwhile")]
    Held,
    /// The file that says so cannot be locked.
    #[error("the lock against backups cannot be taken")]
    Lock(#[source] std::io::Error),
    /// Bytes could not be removed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether something is removed, or only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is removed.
    Remove,
    /// It is counted.
    Count,
}

/// What was removed, or could be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Removed {
    /// Runs, with everything of theirs.
    pub runs: u64,
    /// Runs whose logs went alone.
    pub logs: u64,
    /// Artifacts.
    pub artifacts: u64,
    /// Results that could have been reused.
    pub results: u64,
    /// Deliveries of forges.
    pub deliveries: u64,
    /// Entries of the audit log.
    pub audit_events: u64,
    /// Calls to models.
    pub model_calls: u64,
    /// Traces of calls to models.
    pub traces: u64,
    /// Files that nothing referred to.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
}

/// What removes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Retention {
    /// The database.
    pub store: Store,
    /// Artifacts and caches.
    pub blobs: Blobs,
    /// Logs.
    pub logs: Logs,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long things are kept.
    pub settings: RetentionSettings,
    /// Every finished run goes after so many days, whatever the settings say.
    pub all_runs_days: Option<u32>,
    /// The state folder.
    pub folder: PathBuf,
}

impl Retention {
    /// Every hour until `shutdown`. What fails is tried the next time.
    pub async fn serve(&self, shutdown: &CancellationToken) {
        // Servers that were started together do not do it together.
        let jitter = Duration::from_secs(fastrand::u64(..300));
        let mut wait = FIRST + jitter;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => (),
            }
            wait = EVERY;
            tokio::select! {
                () = shutdown.cancelled() => return,
                done = self.sweep(Mode::Remove) => tell(done),
            }
        }
    }

    /// Once.
    pub async fn sweep(&self, mode: Mode) -> Result<Removed, RetentionError> {
        let hold = Hold::to_remove(&self.folder).map_err(RetentionError::Lock)?;
        let _hold = hold.ok_or(RetentionError::Held)?;
        let needed = self.store.list_reused_runs().await?.into_iter().collect();
        let sweep = Sweep { of: self, now: self.clock.now(), mode, needed };
        let removed = Removed {
            runs: sweep.runs().await?,
            logs: sweep.logs().await?,
            artifacts: sweep.artifacts().await?,
            results: sweep.results().await?,
            deliveries: sweep.deliveries().await?,
            audit_events: sweep.audit_events().await?,
            model_calls: sweep.model_calls().await?,
            traces: sweep.traces().await?,
            ..Removed::default()
        };
        // Last: what those rows referred to.
        let (blobs, blob_bytes) = sweep.blobs().await?;
        Ok(Removed { blobs, blob_bytes, ..removed })
    }
}

fn tell(done: Result<Removed, RetentionError>) {
    match done {
        Ok(removed) => tracing::info!(?removed, "what was kept long enough is removed"),
        Err(RetentionError::Held) => tracing::info!("a backup is being written"),
        Err(error) => tracing::warn!(%error, "what was kept long enough is still there"),
    }
}

/// One time.
struct Sweep<'a> {
    of: &'a Retention,
    now: Timestamp,
    mode: Mode,
    /// Runs whose results unfinished runs have taken over.
    needed: HashSet<RunId>,
}

impl Sweep<'_> {
    /// The moment so many days ago; `None` for zero.
    fn days_ago(&self, days: i64) -> Option<Timestamp> {
        let span = days.checked_mul(DAY_MILLISECONDS)?;
        (days > 0).then(|| Timestamp(self.now.0.saturating_sub(span)))
    }

    fn is_real(&self) -> bool {
        self.mode == Mode::Remove
    }

    async fn pause(&self) {
        if self.is_real() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

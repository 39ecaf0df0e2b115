//! Makes happen what the engine wants, and tells the engine what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::blobs::{BlobError, Blobs, Logs};
use crate::executor::{Executor, ExecutorError};
use crate::model::{RunId, RunStatus, Timestamp};
use crate::runs::{Runs, RunsError};
use crate::source::SourceError;

/// Where time comes from, so that tests can set it.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// What a worker works with.
#[derive(Debug, Clone)]
pub struct WorkerParts<E> {
    /// The runs it drives.
    pub runs: Runs,
    /// Artifacts and caches.
    pub blobs: Blobs,
    /// Logs.
    pub logs: Logs,
    /// What runs attempts.
    pub executor: E,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, String>,
}

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Names this installation on its machine; becomes a label of containers.
    pub instance: String,
    /// Names this process, for leases.
    pub owner: String,
    /// The state folder (checkouts, objects, locks).
    pub state_folder: PathBuf,
    /// Attempts at the same time.
    pub slots: usize,
    /// Containers that are created before their turn.
    pub look_ahead: usize,
    /// The longest log of one attempt.
    pub log_limit_bytes: u64,
    /// Whether containers of failed attempts are kept for `trunkline shell`.
    pub keep_failed: bool,
}

/// Drives runs on this machine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Worker<E> {
    parts: Arc<WorkerParts<E>>,
    settings: Arc<WorkerSettings>,
}

/// Why a run cannot be driven any further by this process.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Another living process drives the run.
    #[error("run `{run}` is driven by {owner}")]
    DrivenElsewhere {
        /// Which run.
        run: RunId,
        /// The other process.
        owner: String,
    },
    /// A use case failed.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// Bytes could not be stored.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The executor cannot be used at all.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// The repository cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl<E: Executor> Worker<E> {
    /// A worker.
    #[must_use]
    pub fn new(parts: WorkerParts<E>, settings: WorkerSettings) -> Self {
        Self { parts: Arc::new(parts), settings: Arc::new(settings) }
    }

    /// Drives a run to its end and gives its status; `None` when `shutdown` came first (its containers
    /// go on and are adopted by the next driver).
    pub async fn drive(
        &self,
        _run: &RunId,
        _shutdown: &CancellationToken,
    ) -> Result<Option<RunStatus>, WorkerError> {
        let _ = (&self.parts, &self.settings);
        unimplemented!()
    }

    /// Removes what carries this instance's label and no unfinished run wants; gives how many things.
    pub async fn sweep(&self) -> Result<usize, WorkerError> {
        unimplemented!()
    }
}

//! Makes happen what the engine wants, and tells the engine what came of it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::auth::Auth;
use crate::blobs::{BlobError, Blobs, Logs};
use crate::executor::{Executor, ExecutorError};
use crate::gateway::server::stages::Stages;
use crate::metrics;
use crate::model::{Clock, Milliseconds, RunId, RunStatus, Timestamp};
use crate::projects::{ProjectError, Projects};
use crate::runs::{Runs, RunsError};
use crate::secrets::SecretSource;
use crate::source::SourceError;

mod driver;
mod attempt;
mod workspace;
mod keep;
mod pool;
mod register;
mod slots;

pub use crate::blobs::OUTPUT_SECTION;
pub use driver::lease::is_driven_here;
pub use keep::{BuiltImages, Swept};

/// How long a lease holds without being renewed, unless the settings say otherwise.
pub const LEASE: Milliseconds = Milliseconds::from_seconds(30);

/// How long a killed container may take to end.
const KILL_PATIENCE: Duration = Duration::from_secs(30);

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
    /// The repositories of a server's projects; runs of a terminal need none.
    pub projects: Option<Projects>,
    /// Where the secrets of stages come from.
    pub secrets: SecretSource,
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
    /// Whether green results of stages with `inputs` are reused.
    pub reuse: bool,
    /// Whether processes on other machines share the database, so that a lease must run out before it
    /// can be taken over.
    pub is_shared: bool,
    /// How long a lease holds without being renewed.
    pub lease: Milliseconds,
    /// How a worker of a server presents itself; `None` in a terminal, which asks for no labels either.
    pub place: Option<WorkerPlace>,
}

/// A worker among others on one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerPlace {
    /// `server` or `worker`.
    pub kind: String,
    /// What stages may ask for.
    pub labels: BTreeMap<String, String>,
    /// Whether the process ends when it has been drained.
    pub leaves_when_drained: bool,
}

/// Drives runs on this machine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Worker<E> {
    parts: Arc<WorkerParts<E>>,
    settings: Arc<WorkerSettings>,
    slots: slots::Slots,
    draining: Arc<watch::Sender<bool>>,
    /// Whether this process itself wants to be drained, whatever its row says.
    is_leaving: Arc<AtomicBool>,
    /// Runs that go on elsewhere because of that, so far.
    handed_over: Arc<AtomicU64>,
    /// Something may be left of runs that went on elsewhere.
    sweep_now: Arc<Notify>,
    checkouts: Arc<Mutex<HashMap<(RunId, workspace::Owner), workspace::SharedCheckout>>>,
    files: Arc<Mutex<HashMap<String, Arc<OnceCell<workspace::Files>>>>>,
    identity: Option<Auth>,
    gateway: Option<Arc<Stages>>,
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
    /// The file that says who drives a run cannot be locked.
    #[error("the lock of run `{run}` cannot be taken: {reason}")]
    Lock {
        /// Which run.
        run: RunId,
        /// What the system said.
        reason: String,
    },
    /// A living worker has this name.
    #[error("another living worker is called `{name}`")]
    NameTaken {
        /// The name.
        name: String,
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
    /// The repository of a project cannot be fetched.
    #[error(transparent)]
    Project(#[from] ProjectError),
}

impl<E: Executor> Worker<E> {
    /// A worker.
    #[must_use]
    pub fn new(parts: WorkerParts<E>, settings: WorkerSettings) -> Self {
        let total = settings.slots.max(1);
        let permits = Arc::new(Semaphore::new(total));
        metrics::watch_slots(Arc::clone(&permits), total);
        let slots = slots::Slots::new(permits);
        Self {
            slots,
            draining: Arc::new(watch::Sender::new(false)),
            is_leaving: Arc::default(),
            handed_over: Arc::default(),
            sweep_now: Arc::default(),
            parts: Arc::new(parts),
            settings: Arc::new(settings),
            checkouts: Arc::default(),
            files: Arc::default(),
            identity: None,
            gateway: None,
        }
    }

    /// The same, whose stages can prove which stage they are: a server signs for them.
    #[must_use]
    pub fn with_identity(self, issuer: Auth) -> Self {
        Self { identity: Some(issuer), ..self }
    }

    /// The same, whose stages call models through this gateway.
    #[must_use]
    pub fn with_gateway(self, gateway: Option<Arc<Stages>>) -> Self {
        Self { gateway, ..self }
    }

    /// Drives a run to its end and gives its status; `None` when `shutdown` came first (its containers
    /// go on and are adopted by the next driver).
    pub async fn drive(
        &self,
        run: &RunId,
        shutdown: &CancellationToken,
    ) -> Result<Option<RunStatus>, WorkerError> {
        driver::Driver::start(self, run, None).await?.drive(shutdown).await
    }

    pub(in crate::worker) async fn drive_anew(
        &self,
        run: &RunId,
        settling: slots::Settling,
        shutdown: &CancellationToken,
    ) -> Result<Option<RunStatus>, WorkerError> {
        driver::Driver::start(self, run, Some(settling)).await?.drive(shutdown).await
    }

    /// Takes nothing new from now on: attempts under way are finished, and their runs handed over.
    pub fn drain(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
        self.draining.send_replace(true);
    }

    /// Whether it takes nothing new.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Runs that it has handed over since it is drained.
    #[must_use]
    pub fn handed_over(&self) -> u64 {
        self.handed_over.load(Ordering::Relaxed)
    }

    /// Whether this worker has what somebody asks for. In a terminal nobody asks.
    pub(in crate::worker) fn has_labels(&self, wanted: &BTreeMap<String, String>) -> bool {
        self.settings.place.as_ref().is_none_or(|it| covers(&it.labels, wanted))
    }
}

/// Whether all that is wanted is there.
fn covers(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}

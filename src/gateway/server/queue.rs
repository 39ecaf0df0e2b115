//! Calls that are made later: submitted at the gateway's doors, kept in the store, and carried out by any process
//! of the installation, the very way that calls are which somebody waits for.

pub mod settings;
pub mod doors;
mod view;
mod verdict;
mod work;
mod webhook;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::Core;
use crate::model::Clock;
use crate::outgoing::Outgoing;
use crate::secrets::Sealer;
use crate::store::Store;
use settings::QueueSettings;

/// Clients that may wait for an item at the same time; the others are answered at once.
const WAITING_CLIENTS: usize = 256;

/// What items are kept and told with.
#[derive(Debug, Clone)]
pub struct QueueParts {
    /// The database.
    pub store: Store,
    /// Seals requests, answers and webhooks.
    pub sealer: Sealer,
    /// Calls webhooks.
    pub outgoing: Outgoing,
}

/// The queue, as one process has a part in it.
#[derive(Debug)]
pub struct Queue {
    settings: QueueSettings,
    parts: QueueParts,
    clock: Arc<dyn Clock>,
    /// Names this process, new with each start.
    owner: String,
    /// There may be something to do.
    wake: Notify,
    /// Counts ends that this process knows of.
    ended: watch::Sender<u64>,
    running: Mutex<HashMap<String, Running>>,
    clients: Semaphore,
    stop: CancellationToken,
}

/// An item that is carried out here.
#[derive(Debug, Clone)]
struct Running {
    epoch: i64,
    stop: CancellationToken,
    /// Why it is stopped, once it is.
    why: Arc<OnceLock<Why>>,
}

/// Why a call is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Somebody wants its end.
    Cancelled,
    /// Another process has taken it.
    Taken,
    /// This process ends.
    Leaving,
}

impl Running {
    fn stop(&self, why: Why) {
        self.why.get_or_init(|| why);
        self.stop.cancel();
    }
}

impl Queue {
    /// A process's part in the queue of a store.
    #[must_use]
    pub fn new(settings: QueueSettings, parts: QueueParts, clock: Arc<dyn Clock>) -> Self {
        let now = u64::try_from(clock.now().0).unwrap_or_default();
        Self {
            settings,
            parts,
            clock,
            owner: Ulid::from_parts(now, fastrand::u128(..)).to_string().to_ascii_lowercase(),
            wake: Notify::new(),
            ended: watch::Sender::new(0),
            running: Mutex::default(),
            clients: Semaphore::new(WAITING_CLIENTS),
            stop: CancellationToken::new(),
        }
    }

    fn store(&self) -> &Store {
        &self.parts.store
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells who waits here that something has ended.
    fn tell_ended(&self) {
        self.ended.send_modify(|it| *it = it.wrapping_add(1));
        self.wake.notify_one();
    }
}

/// For what a sealed text of an item is.
fn purpose(id: &str, what: &str) -> String {
    format!("queue/{id}/{what}")
}

/// Carries items out and tells of their ends until `stop`, where this process has a part in the queue.
pub async fn serve(core: Arc<Core>, stop: CancellationToken) {
    let Some(queue) = core.queue.clone() else { return };
    tokio::join!(
        work::serve(&core, &queue, &stop),
        work::batch::serve(&core, &queue, &stop),
        webhook::serve(&queue, &stop)
    );
}

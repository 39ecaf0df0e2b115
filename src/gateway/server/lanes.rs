//! Threads that connections of clients live on, one for each processor, each with connections to providers of its
//! own. A call then begins and ends on one thread: waking another takes longer than all the gateway does with it.

use std::cell::Cell;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Core, connection};

/// Connections that were taken and that no lane has begun with.
const WAITING: usize = 64;

/// A timer that is due before all others has its thread woken by a system call, though it is the thread that sets it.
/// The times that calls and idle connections have are longer than this, so none of theirs is the first.
const TICK: Duration = Duration::from_secs(1);

thread_local! {
    static LANE: Cell<usize> = const { Cell::new(0) };
}

/// The number of the lane that this thread is, from 1; 0 for others.
#[must_use]
pub fn current() -> usize {
    LANE.get()
}

/// How many lanes there are: as many as processors.
#[must_use]
pub fn count() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A connection of a client.
pub(super) struct Taken {
    pub(super) core: Arc<Core>,
    pub(super) stream: TcpStream,
    pub(super) stop: CancellationToken,
    pub(super) permit: OwnedSemaphorePermit,
    /// It counts as work before a lane has begun with it, too.
    pub(super) counted: TaskTrackerToken,
}

/// All lanes. They begin with the first connection and end with this value.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: OnceLock<Vec<Sender<Taken>>>,
    turn: AtomicUsize,
}

impl Lanes {
    /// Gives a connection to the next lane.
    pub(super) async fn give(&self, taken: Taken) {
        let lanes = self.lanes.get_or_init(start);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let Some(lane) = lanes.get(turn % lanes.len().max(1)) else {
            tracing::error!("no thread for connections could be started");
            return;
        };
        if lane.send(taken).await.is_err() {
            tracing::error!("a thread for connections has ended");
        }
    }
}

fn start() -> Vec<Sender<Taken>> {
    let begin = |lane: usize| {
        let (sender, receiver) = channel(WAITING);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let begun = runtime.and_then(|runtime| {
            let work = move || {
                LANE.set(lane + 1);
                runtime.block_on(drive(receiver));
            };
            std::thread::Builder::new().name(format!("gateway-{lane}")).spawn(work)
        });
        begun.inspect_err(|error| tracing::error!(%error, "a thread cannot be started")).ok()?;
        Some(sender)
    };
    (0..count()).filter_map(begin).collect()
}

async fn drive(mut receiver: Receiver<Taken>) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        let taken = tokio::select! {
            taken = receiver.recv() => taken,
            _ = tick.tick() => continue,
        };
        let Some(Taken { core, stream, stop, permit, counted }) = taken else { break };
        let tasks = core.tasks.clone();
        tasks.spawn(async move {
            connection(core, stream, stop).await;
            drop((permit, counted));
        });
    }
}

//! The gateway as a server: what it is made of, and the loop that takes connections.

pub mod set_up;
pub mod patience;
pub mod lanes;
pub mod journal;
pub mod provider;
pub mod stages;
pub mod doors;
pub mod secret;
pub mod queue;
pub mod shadow;
pub mod receiver;
pub mod usage;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use ulid::Ulid;

use super::cache::Cache;
use super::call::admission;
use super::call::answer::Answer;
use super::call::upstream::Upstream;
use super::cassette::Cassettes;
use super::cassette::redact::Redactor;
use super::guard::Guard;
use super::keys::Keys;
use super::ledger::Ledger;
use super::ledger::trail::trails::Trails;
use super::prices::at_hand::PricesAtHand;
use super::route::{Breakers, Known, Route};
use super::settings::{CassetteMode, Limits, UnknownPrice};
use super::settlement::counting::Counting;
use crate::model::Clock;
use lanes::{Lanes, Taken};
use patience::Patient;
pub use provider::Provider;
use queue::Queue;
use shadow::Shadows;
use usage::Usage;

/// How long a client may take to send the head of a request, on a connection that it keeps open too.
const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// How long for that of its first request. Until then nobody knows who holds the connection.
const FIRST_HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How often calls that nobody settled are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How long calls may go on when the gateway stops.
const GOODBYE: Duration = Duration::from_secs(20);
/// How long streams that are cut off may take to say so.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// All that calls need.
#[derive(Debug)]
pub struct Core {
    /// Limits of calls.
    pub limits: Limits,
    /// Providers.
    pub providers: Vec<Provider>,
    /// What routes know of them.
    pub known: Vec<Known>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Keys of clients.
    pub keys: Keys,
    /// Prices.
    pub prices: Arc<PricesAtHand>,
    /// What happens to models without one.
    pub unknown_price: UnknownPrice,
    /// What was reserved and spent.
    pub ledger: Arc<Ledger>,
    /// Recorded calls.
    pub cassettes: Option<Cassettes>,
    /// What they are for.
    pub cassette_mode: CassetteMode,
    /// Rules about content.
    pub guard: Guard,
    /// Answers that are kept.
    pub cache: Option<Arc<Cache>>,
    /// What happened in calls, until it is written.
    pub trails: Arc<Trails>,
    /// Calls that are made later.
    pub queue: Option<Arc<Queue>>,
    /// Candidates that answer a share of the calls as well.
    pub shadows: Shadows,
    /// What apps report of use elsewhere.
    pub usage: Usage,
    /// Counts what no answer tells.
    pub counting: Counting,
    /// Takes secrets out of what is recorded.
    pub redactor: Redactor,
    /// Calls providers.
    pub upstream: Upstream,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Everything that runs.
    pub tasks: TaskTracker,
    /// Ends streams when the process can wait for them no longer.
    pub cut: CancellationToken,
    /// The threads that connections live on.
    pub lanes: Lanes,
    breakers: Mutex<Breakers>,
    turn: AtomicUsize,
}

impl Core {
    /// The circuit breakers.
    pub fn breakers(&self) -> MutexGuard<'_, Breakers> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which key of a provider is the next.
    pub fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// A new name for a request: sorts by time.
    #[must_use]
    pub fn new_id(&self) -> u128 {
        let now = u64::try_from(self.clock.now().0).unwrap_or_default();
        Ulid::from_parts(now, fastrand::u128(..)).0
    }
}

/// Serves until `stop`, and then until the calls that are there are done or [`GOODBYE`] is over.
pub async fn serve(core: Arc<Core>, listener: TcpListener, stop: CancellationToken) {
    core.tasks.spawn(sweep(core.clone(), stop.clone()));
    core.tasks.spawn(queue::serve(core.clone(), stop.clone()));
    core.tasks.spawn(shadow::serve(core.clone(), stop.clone()));
    let over = CancellationToken::new();
    let calls = async {
        accept(core.clone(), listener, stop).await;
        finish(&core, GOODBYE).await;
        over.cancel();
    };
    // The last calls are recorded, too.
    tokio::join!(calls, keep_cassettes(&core, over.clone()));
}

/// Writes cassettes soon after they have changed, until `over`.
async fn keep_cassettes(core: &Core, over: CancellationToken) {
    if let Some(cassettes) = &core.cassettes {
        cassettes.keep(over).await;
    }
}

/// Waits for the calls that are there, after nothing is listened on any more. Streams that go on even so end with an
/// error of their own.
pub(super) async fn finish(core: &Core, patience: Duration) {
    core.tasks.close();
    if tokio::time::timeout(patience, core.tasks.wait()).await.is_ok() {
        return;
    }
    tracing::warn!(calls = core.ledger.open_calls(), "calls that took too long are cut off");
    core.cut.cancel();
    if tokio::time::timeout(LAST_WORDS, core.tasks.wait()).await.is_err() {
        tracing::warn!(calls = core.ledger.open_calls(), "calls are left behind");
    }
}

/// Takes connections until `stop`.
async fn accept(core: Arc<Core>, listener: TcpListener, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(core.limits.connections));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Beyond the limit, connections wait in the kernel's queue.
        let Ok(permit) = permits.clone().acquire_owned().await else { break };
        let Ok(stream) = stream.into_std() else { continue };
        let (stop, counted) = (stop.clone(), core.tasks.token());
        core.lanes.give(Taken { core: core.clone(), stream, stop, permit, counted }).await;
    }
}

/// Serves one client, on the lane that this is called on.
async fn connection(core: Arc<Core>, stream: std::net::TcpStream, stop: CancellationToken) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let stream = Patient::new(stream, core.limits.stalled_ms.into());
    let cut = core.cut.clone();
    let has_asked = Arc::new(AtomicBool::new(false));
    let late = late(FIRST_HEAD_WITHIN.min(core.limits.request_ms.into()), has_asked.clone());
    let mut late = std::pin::pin!(late);
    let service = service_fn(move |request: Request<Incoming>| {
        has_asked.store(true, Ordering::Relaxed);
        let core = core.clone();
        async move {
            Ok::<Response<Answer>, std::convert::Infallible>(admission::answer(core, request).await)
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(64 << 10);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = late.as_mut() => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection.as_mut() => result,
                () = late.as_mut() => return,
                // Its stream sees that, too, once it is asked for more.
                () = cut.cancelled() => connection.await,
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection of a client ended");
    }
}

/// Comes to its end when the first request does not come in time.
async fn late(within: Duration, has_asked: Arc<AtomicBool>) {
    tokio::time::sleep(within).await;
    if has_asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
    tracing::debug!("a client has asked nothing in time");
}

/// Charges what nobody settled, until `stop`.
async fn sweep(core: Arc<Core>, stop: CancellationToken) {
    let mut is_over = false;
    while !is_over {
        is_over = tokio::time::timeout(SWEEP_EVERY, stop.cancelled()).await.is_ok();
        let expired = core.ledger.sweep(core.clock.now());
        if expired > 0 {
            tracing::warn!(expired, "calls that nobody settled were charged their estimates");
        }
    }
}

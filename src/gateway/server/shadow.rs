//! Copies of a share of the calls for a candidate: another model, another prompt. A copy is handed over once the answer
//! is on its way, through a queue that never waits, and is made on other threads, with a budget, circuit breakers and
//! connections of its own: nobody who calls is slower or pays for it.

pub mod settings;
pub mod doors;
mod share;
mod said;
mod copy;
mod report;
mod index;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::{HeaderMap, Response};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::Core;
use crate::gateway::budget::scope::{Kind, Scope};
use crate::gateway::budget::{Budget, Mode};
use crate::gateway::call::Call;
use crate::gateway::call::answer::Answer;
use crate::gateway::call::answer::tap::{Tap, Tapped};
use crate::gateway::guard::schema::Schema;
use crate::gateway::ledger::notes::Notes;
use crate::gateway::route::Breakers;
use crate::gateway::settings::CassetteMode;
use crate::metrics;
use crate::model::{Milliseconds, Timestamp};
use crate::provider::Operation;
use crate::provider::refusal::Refusal;
use crate::store::spend::requests::shadow::PairRow;
use crate::store::{Store, StoreError};
use settings::{ShadowSettings, Sticky};

/// Copies that are made at the same time.
const CONCURRENCY: usize = 8;
/// Copies that wait; those beyond are dropped, and counted.
const WAITING: usize = 64;
/// Bytes of an answer that are looked at.
const ANSWER_BYTES: usize = 1 << 20;
/// Pairs of a gateway without a store.
const PAIRS_IN_MEMORY: usize = 2000;
/// Pairs of a report.
const PAIRS_OF_REPORT: u32 = 10_000;
/// How long pairs are kept, and how often old ones go.
const KEPT_MS: i64 = 30 * 24 * 3600 * 1000;
const PURGE_EVERY: Duration = Duration::from_mins(10);
const PURGED: u32 = 5000;

/// A candidate, ready to be asked.
#[derive(Debug)]
pub struct Shadow {
    settings: ShadowSettings,
    prompt: Option<String>,
    schema: Option<Arc<Schema>>,
    made: AtomicU64,
    dropped: AtomicU64,
}

/// All candidates of a gateway.
#[derive(Debug)]
pub struct Shadows {
    all: Vec<Arc<Shadow>>,
    sender: mpsc::Sender<Job>,
    receiver: Mutex<Option<mpsc::Receiver<Job>>>,
    /// Those of copies: what a candidate does wrong closes no way for others.
    breakers: Mutex<Breakers>,
    kept: Kept,
}

/// Where pairs are.
#[derive(Debug)]
enum Kept {
    Store(Store),
    Memory(Mutex<VecDeque<PairRow>>),
}

/// A call that has a copy.
#[derive(Debug)]
pub(in crate::gateway) struct Sample {
    shadow: Arc<Shadow>,
    id: u128,
    at: Timestamp,
    started: Instant,
    operation: Operation,
    headers: HeaderMap,
    body: Bytes,
    model: String,
    endpoint: String,
    organisation: Option<String>,
    team: String,
    notes: Arc<Notes>,
}

/// A copy to make, and what it is compared with.
#[derive(Debug)]
struct Job {
    sample: Sample,
    primary: Primary,
}

/// The answer of the call itself.
#[derive(Debug)]
enum Primary {
    Whole(Seen),
    /// It is on its way: until the first piece, and the rest.
    Stream(u16, Duration, oneshot::Receiver<Tapped>),
}

/// An answer that was seen to its end.
#[derive(Debug, Clone, Default)]
struct Seen {
    status: u16,
    reason: String,
    first: Duration,
    total: Duration,
    body: Bytes,
}

impl Shadows {
    /// Of settings, with what their files hold.
    pub fn new(
        settings: &[ShadowSettings],
        read: &dyn Fn(&str) -> Result<String, String>,
        store: Option<Store>,
    ) -> Result<Self, String> {
        settings::check(settings)?;
        let mut all = Vec::new();
        for it in settings {
            let wrong = |why: String| format!("`{}`: {why}", it.name);
            let prompt = it.prompt.as_deref().map(read).transpose().map_err(wrong)?;
            let schema = match it.schema.as_deref().map(read).transpose().map_err(wrong)? {
                Some(text) => Some(Arc::new(Schema::read(&text).map_err(wrong)?)),
                None => None,
            };
            let (made, dropped) = (AtomicU64::new(0), AtomicU64::new(0));
            all.push(Arc::new(Shadow { settings: it.clone(), prompt, schema, made, dropped }));
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        let kept = match store {
            Some(store) => Kept::Store(store),
            None => Kept::Memory(Mutex::default()),
        };
        let receiver = Mutex::new(Some(receiver));
        Ok(Self { all, sender, receiver, breakers: Mutex::default(), kept })
    }

    /// What copies may spend, each shadow of its own.
    pub fn budgets(&self) -> impl Iterator<Item = Budget> {
        self.all.iter().map(|it| Budget {
            id: it.endpoint(),
            scope: Scope::default().with(Kind::Endpoint, &it.endpoint()),
            window: it.settings.budget.window,
            limit: it.settings.budget.limit,
            mode: Mode::Hard,
        })
    }

    /// Whether a call has a copy, and of which candidate: the first that wants it. What it costs is noted from now on.
    pub(in crate::gateway) fn pick(&self, call: &mut Call) -> Option<Sample> {
        if self.all.is_empty() || !may_be_copied(call) {
            return None;
        }
        let shadow = self.all.iter().find(|it| it.wants(call))?.clone();
        let notes = Arc::new(Notes::default());
        call.notes = Some(notes.clone());
        Some(Sample {
            shadow,
            id: call.id,
            at: call.at,
            started: call.started,
            operation: call.operation,
            headers: call.headers.clone(),
            body: call.body.clone(),
            model: call.asked.model.clone(),
            endpoint: call.subject.get(Kind::Endpoint).unwrap_or_default().to_owned(),
            organisation: call.subject.get(Kind::Organisation).map(str::to_owned),
            team: call.subject.get(Kind::Team).unwrap_or_default().to_owned(),
            notes,
        })
    }

    /// Hands a copy over, now that the answer of its call is on its way. Never waits.
    pub(in crate::gateway) fn follow(&self, sample: Sample, response: &mut Response<Answer>) {
        let is_live = response.headers().get("x-trunkline-origin").is_some_and(|it| it == "live");
        if !is_live || response.extensions().get::<Refusal>().is_some() {
            return;
        }
        let (status, first) = (response.status().as_u16(), sample.started.elapsed());
        let primary = match response.body_mut() {
            Answer::Full(body) => {
                let body = body.clone().unwrap_or_default();
                Primary::Whole(Seen { status, first, total: first, body, ..Seen::default() })
            }
            Answer::Live(live) => {
                let (tap, rest) = Tap::new(ANSWER_BYTES);
                live.tap(tap);
                Primary::Stream(status, first, rest)
            }
        };
        let shadow = sample.shadow.clone();
        if self.sender.try_send(Job { sample, primary }).is_err() {
            shadow.dropped.fetch_add(1, Ordering::Relaxed);
            metrics::shadow_copy("dropped");
        }
    }

    /// The circuit breakers of copies.
    pub(in crate::gateway) fn breakers(&self) -> MutexGuard<'_, Breakers> {
        lock(&self.breakers)
    }

    async fn keep(&self, row: PairRow) -> Result<(), StoreError> {
        match &self.kept {
            Kept::Store(store) => store.insert_shadow_pair(&row).await,
            Kept::Memory(pairs) => {
                let mut pairs = lock(pairs);
                if pairs.iter().any(|it| it.id == row.id) {
                    return Ok(());
                }
                if pairs.len() >= PAIRS_IN_MEMORY {
                    pairs.pop_front();
                }
                pairs.push_back(row);
                Ok(())
            }
        }
    }

    /// Those of a shadow: of calls of one team, or of all.
    async fn pairs(
        &self,
        (name, team): (&str, Option<&str>),
        since: Timestamp,
    ) -> Result<Vec<PairRow>, StoreError> {
        match &self.kept {
            Kept::Store(store) => {
                store.list_shadow_pairs((name, team), since, PAIRS_OF_REPORT).await
            }
            Kept::Memory(pairs) => {
                let is_meant = |it: &&PairRow| {
                    it.shadow == name && it.at >= since && team.is_none_or(|team| it.team == team)
                };
                Ok(lock(pairs).iter().filter(is_meant).cloned().collect())
            }
        }
    }
}

/// Not the copies and not what the queue makes: those may be stopped. Not calls of stages, which are noted already, and
/// nothing that is replayed.
fn may_be_copied(call: &Call) -> bool {
    call.stop.is_none()
        && call.notes.is_none()
        && call.mode == CassetteMode::Live
        && call.operation.has_output()
}

impl Shadow {
    /// The endpoint that its copies belong to, and the name of its budget.
    fn endpoint(&self) -> String {
        format!("shadow/{}", self.settings.name)
    }

    fn wants(&self, call: &Call) -> bool {
        let its = &self.settings;
        let is_meant = its.index.is_none()
            && its.scope.account_of(&call.subject).is_some()
            && its.models.as_ref().is_none_or(|it| it.matches(&call.asked.model));
        is_meant && share::has(&its.name, &self.who(call), its.percent)
    }

    /// What always falls on the same side.
    fn who(&self, call: &Call) -> String {
        let request = || format!("request {}", call.id);
        if self.settings.sticky == Sticky::Request {
            return request();
        }
        let named = call.headers.get("x-trunkline-user").and_then(|it| it.to_str().ok());
        let named = named.filter(|it| !it.is_empty()).map(str::to_owned);
        let user = named.or_else(|| share::user_of(&call.body));
        user.map_or_else(request, |it| format!("user {it}"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes copies until `stop`.
pub async fn serve(core: Arc<Core>, stop: CancellationToken) {
    let Some(mut jobs) = lock(&core.shadows.receiver).take() else { return };
    if core.shadows.all.is_empty() {
        return;
    }
    let slots = Arc::new(Semaphore::new(CONCURRENCY));
    let mut purge = tokio::time::interval(PURGE_EVERY);
    loop {
        let job = tokio::select! {
            () = stop.cancelled() => return,
            job = jobs.recv() => job,
            _ = purge.tick() => {
                clean(&core).await;
                continue;
            }
        };
        let Some(job) = job else { return };
        let permit = tokio::select! {
            () = stop.cancelled() => return,
            permit = slots.clone().acquire_owned() => permit,
        };
        let Ok(permit) = permit else { return };
        let (core, stop) = (core.clone(), stop.clone());
        core.tasks.clone().spawn(async move {
            copy::make(&core, job, stop).await;
            drop(permit);
        });
    }
}

async fn clean(core: &Core) {
    let Kept::Store(store) = &core.shadows.kept else { return };
    let before = Timestamp(core.clock.now().0.saturating_sub(KEPT_MS));
    if let Err(error) = store.delete_shadow_pairs(before, PURGED).await {
        tracing::warn!(%error, "old pairs of shadows could not be removed");
    }
}

/// Whole milliseconds.
fn milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// How long a copy, and what it is compared with, may take.
fn patience(core: &Core) -> Milliseconds {
    core.limits.total_ms
}

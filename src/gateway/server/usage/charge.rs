//! Charges reports, each once by the id that its app gave it: a report that comes again, to whichever process and after
//! whatever crash, changes nothing.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{Priced, lock};
use crate::gateway::budget::account::Amount;
use crate::gateway::budget::scope::{Kind, Subject};
use crate::gateway::budget::{CallId, Reservation};
use crate::gateway::call::headers::{self, request_id, tags};
use crate::gateway::keys::{Key, hex};
use crate::gateway::ledger::notes::Notes;
use crate::gateway::ledger::trail::record::span_of;
use crate::gateway::ledger::trail::{Facts, Trail};
use crate::gateway::ledger::{self, NotReserved, Row, What};
use crate::gateway::server::Core;
use crate::model::{Milliseconds, Timestamp, TraceId, TraceParent, UsdNanos};
use crate::provider::refusal::Refusal;
use crate::store::spend::requests::usage::{Claim, Claimed};
use crate::store::{Store, StoreError};

/// When to come again while the ledger or the store does not answer, or another process is about to write.
const AGAIN: Milliseconds = Milliseconds(1_000);
/// How long a reservation of a report may be open. It is closed at once.
const OPEN_FOR: Milliseconds = Milliseconds(60_000);
/// How long ids are remembered, and how often old ones go.
const KEPT_MS: i64 = 7 * 24 * 3600 * 1000;
const PURGE_EVERY: Milliseconds = Milliseconds::from_seconds(600);
const PURGED: u32 = 5000;
/// How often it is looked whether a row is written, and how often at most.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const LOOKS: u32 = 500;

/// Whose reports they are, and where they come from.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Origin {
    /// Whose ids they have.
    owner: String,
    key: String,
    subject: Subject,
    tags: String,
    notes: Option<Arc<Notes>>,
    /// The span that they are made in, where they do not say so themselves.
    parent: Option<TraceParent>,
}

/// What became of a report.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Charged {
    pub(in crate::gateway) cost: UsdNanos,
    pub(in crate::gateway) overrun: UsdNanos,
    /// It was charged before, and not again.
    pub(in crate::gateway) is_replayed: bool,
    /// The request in the ledger.
    pub(in crate::gateway) request: String,
    /// The budget that it did not fit into, in words.
    pub(in crate::gateway) exceeded: Option<(String, String)>,
}

impl Origin {
    /// Of a request with a key, which was let in: the endpoint that it names is one.
    pub(in crate::gateway) fn of(key: &Key, head: &hyper::HeaderMap) -> Self {
        let said = head.get("traceparent").and_then(|it| it.to_str().ok());
        let endpoint = headers::endpoint(head).ok().flatten();
        let mut subject = key.subject.clone();
        if let (Some(name), None) = (endpoint, subject.get(Kind::Endpoint)) {
            subject = subject.with(Kind::Endpoint, name);
        }
        Self {
            owner: format!("{}/{}", key.subject.get(Kind::Team).unwrap_or_default(), key.name),
            key: key.name.clone(),
            subject,
            tags: tags(head),
            notes: key.notes.clone(),
            parent: said.and_then(TraceParent::parse).or(key.parent),
        }
    }

    /// The same inside of a call.
    pub(in crate::gateway) fn within(mut self, call: u128) -> Self {
        let trace = self.parent.map_or(TraceId(call), |it| it.trace);
        self.parent = Some(TraceParent { trace, span: span_of(call) });
        self
    }

    /// The same, but for the money of a candidate: nobody else's budget pays for it.
    pub(in crate::gateway) fn of_candidate(mut self, endpoint: &str) -> Self {
        let organisation = self.subject.get(Kind::Organisation).map(str::to_owned);
        let mut subject = Subject::default().with(Kind::Endpoint, endpoint);
        if let Some(organisation) = organisation {
            subject = subject.with(Kind::Organisation, organisation);
        }
        (self.subject, self.notes) = (subject, None);
        endpoint.clone_into(&mut self.key);
        self.owner = format!("{endpoint}/{}", self.owner);
        self
    }

    /// Whose ids its reports have.
    pub(in crate::gateway) fn owner(&self) -> &str {
        &self.owner
    }

    /// Whose they are.
    pub(in crate::gateway) fn whose(&self) -> &Subject {
        &self.subject
    }

    /// Whose the use of something is.
    pub(super) fn subject(&self, priced: &Priced) -> Subject {
        let report = &priced.report;
        let subject = self.subject.clone().with(Kind::Model, report.name.as_str());
        match (&report.endpoint, subject.get(Kind::Endpoint)) {
            (Some(name), None) => subject.with(Kind::Endpoint, name.as_str()),
            _ => subject,
        }
    }
}

/// Charges reports, one after the other. It goes on when who asks for it leaves: what is claimed is charged.
pub(in crate::gateway) async fn charge(
    core: &Arc<Core>,
    origin: Origin,
    all: Vec<Priced>,
) -> Result<Vec<Charged>, Refusal> {
    let own = core.clone();
    let task = core.tasks.spawn(async move {
        let mut charged = Vec::with_capacity(all.len());
        for it in &all {
            charged.push(charge_one(&own, &origin, it).await?);
        }
        Ok(charged)
    });
    task.await.unwrap_or(Err(Refusal::Unreported { retry_after: AGAIN }))
}

async fn charge_one(core: &Core, origin: &Origin, priced: &Priced) -> Result<Charged, Refusal> {
    let Some(id) = &priced.report.id else {
        return now(core, origin, (core.new_id(), priced)).await;
    };
    let turn = match before(core, (&origin.owner, id), priced).await? {
        Before::Charged(charged) => return Ok(charged),
        Before::Nothing(claim) => claim,
    };
    let charged = now(core, origin, (number(&origin.owner, id), priced)).await;
    match (&charged, turn, core.ledger.place()) {
        (Ok(charged), _, _) => {
            let name = (origin.owner.clone(), id.clone());
            lock(&core.usage.seen).add(name, (digest(priced), charged.cost));
        }
        (Err(_), Some(claim), Some((store, _))) => {
            store.release_usage(&claim).await.map_err(|it| silent(&it))?;
        }
        (Err(_), _, _) => {}
    }
    charged
}

/// What became of a report of an id before.
enum Before {
    /// Nothing; with what was claimed of it, where there is a store.
    Nothing(Option<Claim>),
    Charged(Charged),
}

async fn before(
    core: &Core,
    (owner, id): (&str, &str),
    priced: &Priced,
) -> Result<Before, Refusal> {
    let (number, digest) = (number(owner, id), digest(priced));
    let again = |cost, overrun| Charged {
        cost,
        overrun,
        is_replayed: true,
        request: request_id(number),
        exceeded: None,
    };
    let seen = lock(&core.usage.seen).all.get(&(owner.to_owned(), id.to_owned())).cloned();
    if let Some((former, cost)) = seen {
        let again = Before::Charged(again(cost, UsdNanos(0)));
        return if former == digest { Ok(again) } else { Err(other(id)) };
    }
    let Some((store, spender)) = core.ledger.place() else {
        // A ledger that was taken up again has charged it, though nobody remembers what it was.
        let is_known = core.ledger.knows(CallId { request: number, attempt: 1 });
        let again = || Before::Charged(again(priced.cost, UsdNanos(0)));
        return Ok(if is_known { again() } else { Before::Nothing(None) });
    };
    let now = core.clock.now();
    let claim = Claim {
        owner: owner.to_owned(),
        id: id.to_owned(),
        digest: digest.clone(),
        request: request_id(number),
        spender: spender.to_owned(),
        at: now,
    };
    purge(core, store, now).await;
    match store.claim_usage(&claim).await.map_err(|it| silent(&it))? {
        Claimed::Now => Ok(Before::Nothing(Some(claim))),
        Claimed::Other => Err(other(id)),
        Claimed::Written { cost, overrun } => Ok(Before::Charged(again(cost, overrun))),
        // It is being charged, here or elsewhere.
        Claimed::UnderWay => Err(Refusal::Unreported { retry_after: AGAIN }),
    }
}

fn other(id: &str) -> Refusal {
    Refusal::Unreadable(format!("another report has the id `{id}` already; nothing was charged"))
}

pub(super) fn silent(error: &StoreError) -> Refusal {
    tracing::error!(%error, "reports of use cannot be read or written");
    Refusal::Unreported { retry_after: AGAIN }
}

async fn now(
    core: &Core,
    origin: &Origin,
    (id, priced): (u128, &Priced),
) -> Result<Charged, Refusal> {
    let (report, now) = (&priced.report, core.clock.now());
    let took = i64::try_from(report.took_ms).unwrap_or(i64::MAX);
    let at = Timestamp(now.0.saturating_sub(took));
    let tokens = i64::try_from(report.usage.tokens()).unwrap_or(i64::MAX);
    let subject = origin.subject(priced);
    let id = CallId { request: id, attempt: 1 };
    let call = Reservation {
        id,
        subject: subject.clone(),
        estimate: Amount { money: priced.cost, tokens },
        deadline: now.plus(OPEN_FOR),
        requests: 0,
    };
    let mut row = row(origin, (id, priced), subject.clone());
    row.at = now;
    let refused = core.ledger.charge(call, now, &mut row).await;
    let refused = refused.map_err(|_| Refusal::Unreported { retry_after: AGAIN })?;
    let exceeded = refused.map(|it| (it.budget.clone(), it.to_string()));
    if let (Some(notes), Some((budget, message))) = (&origin.notes, &exceeded) {
        // The next call would be refused: whoever runs the stage must not wait for it.
        let (budget, message) = (budget.clone(), message.clone());
        notes.refuse(&Refusal::Budget { budget, message });
    }
    let facts = Facts {
        id: id.request,
        at,
        parent: report.parent.or(origin.parent),
        key: origin.key.clone(),
        subject,
        operation: What::Usage,
        model: report.name.clone(),
    };
    Trail::report(&core.trails, facts, &row);
    Ok(Charged {
        cost: row.cost,
        overrun: row.overrun,
        is_replayed: false,
        request: row.request,
        exceeded,
    })
}

fn row(origin: &Origin, (id, priced): (CallId, &Priced), subject: Subject) -> Row {
    let report = &priced.report;
    Row {
        request: request_id(id.request),
        attempt: id.attempt,
        at: Timestamp(0),
        key: origin.key.clone(),
        subject,
        operation: What::Usage,
        provider: priced.provider.clone(),
        model: report.name.clone(),
        answered_by: None,
        origin: ledger::Origin::Live,
        status: None,
        usage: report.usage,
        cost: priced.cost,
        avoided: UsdNanos(0),
        reserved: UsdNanos(0),
        overrun: UsdNanos(0),
        price: Some(priced.price.reference()),
        flags: priced.flags.clone(),
        first_token_ms: None,
        total_ms: report.took_ms,
        similar: None,
        tags: origin.tags.clone(),
        notes: origin.notes.clone(),
        trail: Trail::default(),
    }
}

/// Waits until a report is written down for good: only then its app may forget it.
pub(super) async fn written(core: &Core, request: &str) -> Result<(), Refusal> {
    let Some((store, _)) = core.ledger.place() else { return Ok(()) };
    for _ in 0..LOOKS {
        if store.has_call(request).await.map_err(|it| silent(&it))? {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(Refusal::Unreported { retry_after: AGAIN })
}

/// Whether budgets would let these through together. Nothing is held afterwards.
pub(super) async fn would_fit(
    core: &Core,
    origin: &Origin,
    all: &[Priced],
) -> Result<Option<UsdNanos>, Refusal> {
    let (mut held, mut remaining, mut refused) = (Vec::new(), None, None);
    for priced in all {
        let now = core.clock.now();
        let tokens = i64::try_from(priced.report.usage.tokens()).unwrap_or(i64::MAX);
        let id = CallId { request: core.new_id(), attempt: 1 };
        let call = Reservation {
            id,
            subject: origin.subject(priced),
            estimate: Amount { money: priced.cost, tokens },
            deadline: now.plus(OPEN_FOR),
            requests: 0,
        };
        match core.ledger.reserve(call, now).await {
            Ok(reserved) => {
                held.push(id);
                remaining = [remaining, reserved.remaining].into_iter().flatten().min();
            }
            Err(NotReserved::Refused(it)) => {
                let (budget, message) = (it.budget.clone(), it.to_string());
                refused = Some(Refusal::Budget { budget, message });
                break;
            }
            Err(NotReserved::Behind) => {
                refused = Some(Refusal::Unreported { retry_after: AGAIN });
                break;
            }
        }
    }
    for id in held {
        core.ledger.release(id);
    }
    refused.map_or(Ok(remaining), Err)
}

/// Forgets old ids, now and then.
async fn purge(core: &Core, store: &Store, now: Timestamp) {
    {
        let mut purged = lock(&core.usage.purged);
        if purged.is_some_and(|it| now.since(it) < PURGE_EVERY) {
            return;
        }
        *purged = Some(now);
    }
    let before = Timestamp(now.0.saturating_sub(KEPT_MS));
    if let Err(error) = store.delete_usage_reports(before, PURGED).await {
        tracing::warn!(%error, "old ids of reports could not be removed");
    }
}

/// The same for the same id, whichever process is asked.
pub(in crate::gateway) fn number(owner: &str, id: &str) -> u128 {
    let digest = Sha256::new().chain_update(owner).chain_update([0]).chain_update(id).finalize();
    digest.iter().take(16).fold(0, |all, byte| all << 8 | u128::from(*byte))
}

/// Of what a report says, but for how long it took and where it is traced.
pub(super) fn digest(priced: &Priced) -> String {
    let report = &priced.report;
    let usage = serde_json::to_string(&report.usage).unwrap_or_default();
    let endpoint = report.endpoint.as_deref().unwrap_or_default();
    let parts = [report.name.as_str(), &priced.provider, &usage, endpoint];
    let all =
        parts.into_iter().fold(Sha256::new(), |it, part| it.chain_update(part).chain_update([0]));
    hex(&all.finalize().into())
}

//! Who may call, what, and how often; and the requests that go to no provider.

mod running;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, EXPECT, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response};

use super::upstream::tries::Tries;
use super::{Call, asked, headers, models, shelf, upstream};
use crate::gateway::budget::scope::Kind;
use crate::gateway::call::answer::Answer;
use crate::gateway::cassette::Cassette;
use crate::gateway::keys::{Held, Key};
use crate::gateway::ledger::trail::Trail;
use crate::gateway::server::Core;
use crate::gateway::server::queue::doors;
use crate::gateway::server::receiver;
use crate::gateway::server::shadow::doors as candidates;
use crate::gateway::server::usage::doors as reports;
use crate::gateway::server::usage::retries::{self, Reported};
use crate::gateway::settings::CassetteMode;
use crate::model::{Milliseconds, Timestamp};
use crate::provider::refusal::{Refusal, STORE};
use crate::provider::{Dialect, Operation};
use running::Running;

/// The most that is read of a body that nobody wants.
const DISCARDED_BYTES: usize = 64 << 20;
/// For how long.
const DISCARDED_WITHIN: Duration = Duration::from_secs(10);
/// When to come again while keys cannot be looked up.
const KEYS_AGAIN: Milliseconds = Milliseconds(1_000);

/// Answers one request.
pub async fn answer(core: Arc<Core>, request: Request<Incoming>) -> Response<Answer> {
    let started = Instant::now();
    let id = core.new_id();
    if receiver::is_path(request.uri().path()) {
        let mut response = Box::pin(receiver::answer(&core, request)).await;
        headers::name(&mut response, id);
        return response;
    }
    let dialect = dialect_of(&request);
    let mut reported = None;
    let admitted = admit(&core, request, (id, started), &mut reported).await;
    let mut response = match admitted {
        Ok(Admitted::Call(call)) => Running::new(call).await,
        Ok(Admitted::Models(list)) => headers::json(list),
        Ok(Admitted::Shelf(response)) => response,
        Err(refusal) => headers::refused(&refusal, dialect),
    };
    headers::name(&mut response, id);
    if let Some(sum) = reported {
        tell_reported(response.headers_mut(), sum);
    }
    response
}

/// What the reports of a request have come to, and how many of them were charged before.
fn tell_reported(headers: &mut HeaderMap, sum: retries::Sum) {
    if let Ok(cost) = HeaderValue::from_str(&reports::usd(sum.cost)) {
        headers.insert("x-trunkline-usage-cost-usd", cost);
    }
    if sum.replayed > 0 {
        headers.insert("x-trunkline-usage-replayed", HeaderValue::from(sum.replayed));
    }
}

enum Admitted {
    Call(Box<Call>),
    Models(String),
    Shelf(Response<Answer>),
}

async fn admit(
    core: &Arc<Core>,
    request: Request<Incoming>,
    (id, started): (u128, Instant),
    reported: &mut Option<retries::Sum>,
) -> Result<Admitted, Refusal> {
    let at = core.clock.now();
    let (head, body) = request.into_parts();
    let known = match before_body(core, &head, at).await {
        Ok((held, wanted)) => match before_charge(core, (&held.key, &head, id), reported).await {
            Ok(left) => Ok((held, wanted, left)),
            Err(refusal) => Err(refusal),
        },
        Err(refusal) => Err(refusal),
    };
    let (held, wanted, left) = match known {
        Ok(known) => known,
        Err(refusal) => {
            // Whoever asks before it sends is told before it sends.
            if !head.headers.contains_key(EXPECT) {
                Box::pin(discard(body)).await;
            }
            return Err(refusal);
        }
    };
    let key = &held.key;
    let body = if matches!(wanted, Wanted::Models(_)) {
        Ok(Bytes::new())
    } else {
        read(core, body, core.limits.request_bytes).await
    };
    if let Some(left) = left {
        let sum = Box::pin(left.charge(core, key, (&head, body.as_ref().ok(), id))).await?;
        *reported = Some(sum);
    }
    serve(core, key, (wanted, head, body?), (id, at, started)).await
}

/// Charges what a request reports, which is spent whatever becomes of the rest; or gives it back where only the body
/// tells whether it was charged before.
async fn before_charge(
    core: &Arc<Core>,
    (key, head, id): (&Key, &Parts, u128),
    reported: &mut Option<retries::Sum>,
) -> Result<Option<Reported>, Refusal> {
    match retries::of_header(core, head)? {
        Some(it) if it.waits_for_body() => Ok(Some(it)),
        Some(it) => {
            *reported = Some(Box::pin(it.charge(core, key, (head, None, id))).await?);
            Ok(None)
        }
        None => Ok(None),
    }
}

async fn serve(
    core: &Arc<Core>,
    key: &Key,
    (wanted, head, body): (Wanted, Parts, Bytes),
    (id, at, started): (u128, Timestamp, Instant),
) -> Result<Admitted, Refusal> {
    let operation = match wanted {
        Wanted::Call(operation) => operation,
        Wanted::Models(which) => {
            let dialect = dialect_of_headers(&head.headers);
            return models::answer(core, key, dialect, &which).map(Admitted::Models);
        }
        Wanted::Shelf => {
            let (method, path) = (&head.method, head.uri.path());
            let answer = Box::pin(shelf::answer(core, key, (method, path), &body)).await;
            return answer.map(Admitted::Shelf);
        }
        Wanted::Shadow => {
            let answer = Box::pin(candidates::answer(core, key, (&head, &body))).await;
            return answer.map(Admitted::Shelf);
        }
        Wanted::Usage => {
            let answer = Box::pin(reports::answer(core, key, (&head, &body))).await;
            return answer.map(Admitted::Shelf);
        }
        Wanted::Queue => {
            let answer = Box::pin(doors::answer(core, key, (&head, &body))).await;
            return answer.map(Admitted::Shelf);
        }
    };
    let query = head.uri.query().filter(|it| !it.is_empty()).map(Box::from);
    let headers = head.headers;
    let arrived = Arrived { id, at, started, operation, query, headers, body };
    call_of(core, key, arrived).map(|it| Admitted::Call(Box::new(it)))
}

/// A request for a model, with its body.
#[derive(Debug)]
pub(in crate::gateway) struct Arrived {
    pub(in crate::gateway) id: u128,
    pub(in crate::gateway) at: Timestamp,
    pub(in crate::gateway) started: Instant,
    pub(in crate::gateway) operation: Operation,
    /// What its address says behind the `?`, such as `api-version=preview`.
    pub(in crate::gateway) query: Option<Box<str>>,
    pub(in crate::gateway) headers: HeaderMap,
    pub(in crate::gateway) body: Bytes,
}

/// The call that a request with a key asks for.
pub(in crate::gateway) fn call_of(
    core: &Arc<Core>,
    key: &Key,
    arrived: Arrived,
) -> Result<Call, Refusal> {
    let Arrived { id, at, started, operation, query, headers, body } = arrived;
    let asked = asked(operation, &body)?;
    if key.models.as_ref().is_some_and(|it| !it.matches(&asked.model)) {
        let what = format!("this key may not call the model `{}`", asked.model);
        return Err(Refusal::Forbidden(what));
    }
    let (mode, cassette) = cassette(core, key)?;
    let mut call = Call {
        core: core.clone(),
        id,
        at,
        started,
        operation,
        key: key.name.clone(),
        subject: key.subject.clone(),
        mode,
        cassette,
        turn: None,
        notes: key.notes.clone(),
        query,
        headers,
        body,
        asked,
        keeping: Mutex::default(),
        similar: None,
        known_tokens: 0,
        tries: Tries::default(),
        screen: Mutex::default(),
        violation: Mutex::default(),
        flags: Vec::new(),
        limits: core.limits,
        stop: key.notes.as_ref().and_then(|it| it.stopping()).cloned(),
        is_copy: false,
        trail: Trail::default(),
    };
    name_endpoint(&mut call)?;
    call.trail = Trail::start(&call, key.parent);
    Ok(call)
}

/// What a request is for.
enum Wanted {
    Call(Operation),
    Models(models::Which),
    /// The cache as programs use it themselves.
    Shelf,
    /// Calls that are made later.
    Queue,
    /// What is known of candidates.
    Shadow,
    /// What an app reports.
    Usage,
}

/// What is known before the body is read: whose request it is, and what for.
async fn before_body(
    core: &Core,
    head: &Parts,
    at: Timestamp,
) -> Result<(Arc<Held>, Wanted), Refusal> {
    let path = head.uri.path();
    let wanted = match head.method {
        _ if path.starts_with(shelf::PREFIX) => Some(Wanted::Shelf),
        _ if doors::is_path(path) && core.queue.is_some() => Some(Wanted::Queue),
        _ if candidates::is_path(path) => Some(Wanted::Shadow),
        _ if reports::is_path(path) => Some(Wanted::Usage),
        Method::POST => Operation::of_path(path).map(Wanted::Call),
        Method::GET => models::of_path(path).map(Wanted::Models),
        _ => None,
    };
    let nowhere = || Refusal::NotFound(format!("`{} {path}` leads nowhere here", head.method));
    let wanted = wanted.ok_or_else(nowhere)?;
    let text = key_text(&head.headers).ok_or(Refusal::Unauthorized)?;
    let held = core.keys.find(text, at).await.map_err(|error| {
        tracing::error!(%error, "a key cannot be looked up");
        Refusal::Away { what: STORE, retry_after: KEYS_AGAIN }
    })?;
    let held = held.ok_or(Refusal::Unauthorized)?;
    headers::refuse_compressed(&head.headers)?;
    if held.key.subject.get(Kind::Endpoint).is_none() {
        headers::endpoint(&head.headers)?;
    }
    let submits = matches!(wanted, Wanted::Queue) && head.method == Method::POST;
    if submits || matches!(wanted, Wanted::Call(_) | Wanted::Shelf | Wanted::Usage) {
        held.take(at).map_err(|(limit, retry_after)| Refusal::Rate { retry_after, limit })?;
    }
    Ok((held, wanted))
}

/// The whole body, within the limits of size and time.
pub(in crate::gateway) async fn read(
    core: &Core,
    mut body: Incoming,
    limit_bytes: u64,
) -> Result<Bytes, Refusal> {
    let limited = Limited::new(&mut body, usize::try_from(limit_bytes).unwrap_or(usize::MAX));
    match tokio::time::timeout(core.limits.request_ms.into(), limited.collect()).await {
        Ok(Ok(all)) => Ok(upstream::apart(all.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Box::pin(discard(body)).await;
            Err(Refusal::TooLarge { limit_bytes })
        }
        Ok(Err(error)) => Err(Refusal::Unreadable(format!("the body broke off: {error}"))),
        Err(_) => Err(Refusal::Unreadable("the body did not come in time".to_owned())),
    }
}

/// Takes in the rest of a body that nobody wants, up to a limit. A client that is still sending when the
/// connection is closed sees only that, and not the answer.
pub(in crate::gateway) async fn discard(mut body: Incoming) {
    let rest = async {
        let mut left = DISCARDED_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    drop(tokio::time::timeout(DISCARDED_WITHIN, rest).await);
}

/// An app with a key of its team says which of its endpoints calls; a key of an endpoint stays with it.
fn name_endpoint(call: &mut Call) -> Result<(), Refusal> {
    if call.subject.get(Kind::Endpoint).is_none()
        && let Some(name) = headers::endpoint(&call.headers)?
    {
        call.subject = call.subject.clone().with(Kind::Endpoint, name);
    }
    Ok(())
}

/// What the cassette of a key is for, and the cassette.
fn cassette(core: &Core, key: &Key) -> Result<(CassetteMode, Option<Arc<Cassette>>), Refusal> {
    if let Some(own) = &key.own {
        return Ok((own.mode, own.cassette.clone()));
    }
    let (Some(cassettes), Some(name)) = (&core.cassettes, &key.cassette) else {
        return Ok((CassetteMode::Live, None));
    };
    if core.cassette_mode == CassetteMode::Live {
        return Ok((CassetteMode::Live, None));
    }
    let opened = cassettes.open(name);
    let opened = opened.map_err(|it| Refusal::CassetteMiss { message: it.to_string() })?;
    Ok((core.cassette_mode, Some(opened)))
}

/// `authorization: Bearer` as `OpenAI` has it, or `x-api-key` as Anthropic.
pub(in crate::gateway) fn key_text(headers: &HeaderMap) -> Option<&str> {
    let own = headers.get("x-api-key").and_then(|it| it.to_str().ok());
    own.or_else(|| {
        let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    })
}

fn dialect_of(request: &Request<Incoming>) -> Dialect {
    match Operation::of_path(request.uri().path()) {
        Some(operation) => operation.dialect(),
        None => dialect_of_headers(request.headers()),
    }
}

fn dialect_of_headers(headers: &HeaderMap) -> Dialect {
    let is_anthropic = headers.contains_key("anthropic-version");
    if is_anthropic { Dialect::Anthropic } else { Dialect::OpenAi }
}

//! `Idempotency-Key`: a request that is repeated because its answer was lost does what it asks for once, and is
//! answered as the first time. Kept for a day, in the database, so a restart and another process know it too.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{OptionalFromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use crate::auth::Proof;
use crate::http::{App, Problem, ProblemKind, Visitor};
use crate::model::Milliseconds;
use crate::secrets::SealError;
use crate::store::access::requests::{Claimed, RequestClaim};

/// The header with the client's key.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is an earlier one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const KEY_BYTES_MAX: usize = 255;
/// Bodies that are read to be compared, and answers that are kept.
const BODY_BYTES_MAX: usize = 1 << 20;
const ANSWER_BYTES_MAX: usize = 1 << 20;
const KEPT: Milliseconds = Milliseconds::from_seconds(24 * 60 * 60);
/// A process that has not answered for so long is gone.
const PATIENCE: Milliseconds = Milliseconds::from_seconds(15 * 60);
/// Headers that belong to the answer.
const HEADERS: [HeaderName; 2] = [header::CONTENT_TYPE, header::LOCATION];

/// An answer as it is stored.
#[derive(serde::Serialize, serde::Deserialize)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

/// The layer that does it. Requests of nobody have nobody's key, and are done each time.
pub async fn once(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return next.run(request).await;
    }
    match claim(&app, request).await {
        Ok((request, None)) => next.run(request).await,
        Ok((request, Some(claim))) => answer(&app, &claim, request, next).await,
        Err(response) => *response,
    }
}

/// Does once what a form of a page asks for whose answer shows a secret. `once` is of the page: the same form sent
/// again, as browsers do when that answer is loaded again, makes nothing. Without one it is done each time.
pub async fn once_of_form<T>(
    app: &App,
    (visitor, once): (&Visitor, &str),
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    if once.is_empty() {
        return work.await;
    }
    let person = visitor.0.person.0.as_bytes();
    let claim = RequestClaim {
        id: hash(&[b"form", person, once.as_bytes()]),
        digest: hash(&[b"form"]),
        at: app.now(),
        kept: KEPT,
        patience: PATIENCE,
    };
    if app.store.claim_request(&claim).await? != Claimed::New {
        return Err(sent_before());
    }
    let done = work.await;
    let noted = match &done {
        Ok(_) => keep_nothing(app, &claim).await,
        Err(_) => app.store.delete_request(&claim).await.map_err(SealError::from),
    };
    if let Err(error) = noted {
        // It is not known as done, but claimed, which is as good for a while.
        tracing::error!(error = &error as &dyn std::error::Error, "a form was not noted");
    }
    done
}

/// That it is done is kept, and no secret.
async fn keep_nothing(app: &App, claim: &RequestClaim) -> Result<(), SealError> {
    let sealed = app.sealer.seal(&purpose(claim), "").await?;
    Ok(app.store.save_answer(claim, &sealed).await?)
}

fn sent_before() -> Problem {
    let title = "this form was sent before, and what it makes was made then: it is not shown again";
    Problem::new(ProblemKind::Conflict, title)
        .with_help("Nothing was made now. Make another one if you have not kept it.")
}

type Refusal = Box<Response>;

#[expect(clippy::unnecessary_box_returns, reason = "the error of a result is to be small")]
fn refuse(problem: impl Into<Problem>) -> Refusal {
    Box::new(problem.into().into_response())
}

/// The request as it came, and the claim on it when it is one of somebody; else the answer there is already.
async fn claim(app: &App, request: Request) -> Result<(Request, Option<RequestClaim>), Refusal> {
    let (mut parts, body) = request.into_parts();
    let visitor = <Visitor as OptionalFromRequestParts<App>>::from_request_parts(&mut parts, app)
        .await
        .map_err(refuse)?;
    let Some(visitor) = visitor else {
        return Ok((Request::from_parts(parts, body), None));
    };
    let key = key(&parts.headers).map_err(refuse)?;
    let Ok(bytes) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        let title = "the body has more bytes than are read, or ended too early";
        return Err(refuse(Problem::new(ProblemKind::TooLarge, title)));
    };
    let caller = match &visitor.0.proof {
        Proof::Session(_) => format!("person:{}", visitor.0.person),
        Proof::Token(id, _) => format!("token:{id}"),
    };
    let claim = RequestClaim {
        id: hash(&[caller.as_bytes(), key.as_bytes()]),
        digest: hash(&[parts.uri.to_string().as_bytes(), &bytes]),
        at: app.now(),
        kept: KEPT,
        patience: PATIENCE,
    };
    match app.store.claim_request(&claim).await.map_err(refuse)? {
        Claimed::New => Ok((Request::from_parts(parts, Body::from(bytes)), Some(claim))),
        Claimed::UnderWay => Err(refuse(under_way())),
        Claimed::Other => Err(refuse(other())),
        Claimed::Done(sealed) => Err(Box::new(replay(app, &claim, &sealed).await)),
    }
}

/// Does it, and keeps the answer unless it is a failure of ours, or of the moment.
async fn answer(app: &App, claim: &RequestClaim, request: Request, next: Next) -> Response {
    let (parts, body) = next.run(request).await.into_parts();
    let is_of_the_moment =
        parts.status.is_server_error() || parts.status == StatusCode::TOO_MANY_REQUESTS;
    let bytes = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await.ok();
    let text = bytes.as_ref().and_then(|it| std::str::from_utf8(it).ok());
    let kept = match text.filter(|_| !is_of_the_moment) {
        Some(text) => keep(app, claim, &parts, text).await,
        None => app.store.delete_request(claim).await.map_err(SealError::from),
    };
    if let Err(error) = kept {
        // It is done, and said; only a repetition will not be known.
        tracing::error!(error = &error as &dyn std::error::Error, "an answer was not kept");
    }
    match bytes {
        Some(bytes) => Response::from_parts(parts, Body::from(bytes)),
        None => Problem::internal(&std::io::Error::other("an answer is too large")).into_response(),
    }
}

async fn keep(
    app: &App,
    claim: &RequestClaim,
    parts: &axum::http::response::Parts,
    text: &str,
) -> Result<(), SealError> {
    let value = |name: &HeaderName| {
        Some((name.to_string(), parts.headers.get(name)?.to_str().ok()?.to_owned()))
    };
    let answer = Answer {
        status: parts.status.as_u16(),
        headers: HEADERS.iter().filter_map(value).collect(),
        body: text.to_owned(),
    };
    // It may hold a new token.
    let text = serde_json::to_string(&answer).unwrap_or_default();
    let sealed = app.sealer.seal(&purpose(claim), &text).await?;
    Ok(app.store.save_answer(claim, &sealed).await?)
}

async fn replay(app: &App, claim: &RequestClaim, sealed: &str) -> Response {
    let text = match app.sealer.open(&purpose(claim), sealed).await {
        Ok(text) => text,
        Err(error) => return Problem::internal(&error).into_response(),
    };
    let answer: Answer = match serde_json::from_str(&text) {
        Ok(answer) => answer,
        Err(error) => return Problem::internal(&error).into_response(),
    };
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn purpose(claim: &RequestClaim) -> String {
    format!("request/{}", claim.id)
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let text = headers.get(IDEMPOTENCY_KEY).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let is_fine = (1..=KEY_BYTES_MAX).contains(&text.len());
    let bad = || {
        let title = format!("`Idempotency-Key` has 1 to {KEY_BYTES_MAX} visible characters");
        Problem::bad_request(title)
            .with_help("A new UUID for each thing that is to be done is best.")
    };
    is_fine.then(|| text.to_owned()).ok_or_else(bad)
}

fn under_way() -> Problem {
    Problem::new(ProblemKind::Conflict, "a request with this `Idempotency-Key` is under way")
        .with_help("Ask again in a moment.")
}

fn other() -> Problem {
    Problem::new(ProblemKind::Refused, "this `Idempotency-Key` was used for another request")
        .with_help("Use a new key for each thing that is to be done.")
}

/// Parts of different lengths cannot be mistaken for each other.
fn hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

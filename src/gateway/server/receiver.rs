//! Takes in spans over OTLP/HTTP (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>), from apps and stages, with the
//! keys that they call models with. Metrics and logs are counted and not taken, and that is said.

mod wire;
mod counted;
mod said;
mod values;
mod read;

use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use prost::Message as _;
use serde_json::json;

use super::Core;
use crate::gateway::call::admission::{discard, key_text, read};
use crate::gateway::call::answer::Answer;
use crate::gateway::keys::{Held, Key};
use crate::gateway::ledger::trail::trails::Trails;
use crate::metrics;
use crate::model::{Milliseconds, Timestamp};
use crate::provider::refusal::Refusal;
use read::Reader;
use wire::{ExportRequest, ExportResponse, PartialSuccess, RpcStatus};

/// Where all of this is; `/v1/traces` and so on follow.
pub const PREFIX: &str = "/otlp";
/// The largest request, and the largest that one may become when it is unpacked.
const BODY_BYTES: u64 = 4 << 20;
const UNPACKED_BYTES: u64 = 16 << 20;
/// When to come again when there is no room, or keys cannot be looked up.
const AGAIN: Milliseconds = Milliseconds(1_000);
const SPANS: &str = "rejectedSpans";
/// What is said of what else programs send.
const ONLY_TRACES: &str = "only traces are taken in here: with `OTEL_METRICS_EXPORTER=none` and \
    `OTEL_LOGS_EXPORTER=none` nothing else is sent";

/// What a request brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// How it is written, and is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway::server) enum Format {
    Protobuf,
    Json,
}

/// Why nothing of a request is taken.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    message: String,
    retry_after: Option<Milliseconds>,
}

impl Refused {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None }
    }

    fn later(status: StatusCode, message: &str, retry_after: Milliseconds) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(status, message) }
    }

    /// The code that gRPC has for it.
    fn code(&self) -> i32 {
        match self.status {
            StatusCode::UNAUTHORIZED => 16,
            StatusCode::NOT_FOUND => 5,
            StatusCode::METHOD_NOT_ALLOWED => 12,
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS => 8,
            StatusCode::SERVICE_UNAVAILABLE => 14,
            _ => 3,
        }
    }
}

/// What was not taken of a request that was: how much, and why.
#[derive(Debug)]
struct Rejected {
    /// The field for it, in JSON.
    name: &'static str,
    count: usize,
    why: String,
}

impl Rejected {
    fn of(name: &'static str, count: usize, why: &str) -> Option<Self> {
        (count > 0).then(|| Self { name, count, why: why.to_owned() })
    }
}

/// Whether a path is one of these.
#[must_use]
pub(in crate::gateway) fn is_path(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|it| it.starts_with('/'))
}

/// Answers one request.
pub(in crate::gateway) async fn answer(
    core: &Arc<Core>,
    request: Request<Incoming>,
) -> Response<Answer> {
    let format = format_of(request.headers());
    match take(core, request, format).await {
        Ok(rejected) => accepted(format.unwrap_or(Format::Json), rejected),
        Err(refused) => {
            metrics::spans_received("refused", 1);
            refusal(format.unwrap_or(Format::Json), &refused)
        }
    }
}

async fn take(
    core: &Arc<Core>,
    request: Request<Incoming>,
    format: Option<Format>,
) -> Result<Option<Rejected>, Refused> {
    let now = core.clock.now();
    let (head, body) = request.into_parts();
    let known = before_body(core, &head, format, now).await;
    let (signal, format, held) = match known {
        Ok(known) => known,
        Err(refused) => {
            // Whoever asks before it sends is told before it sends.
            if !head.headers.contains_key(EXPECT) {
                discard(body).await;
            }
            return Err(refused);
        }
    };
    let body = read(core, body, BODY_BYTES.min(core.limits.request_bytes)).await;
    let body = body.map_err(|it| {
        let is_long = matches!(it, Refusal::TooLarge { .. });
        if is_long { too_large() } else { Refused::new(StatusCode::BAD_REQUEST, it.message()) }
    })?;
    let is_packed = is_packed(&head.headers)?;
    let key_text = key_text(&head.headers).unwrap_or_default().to_owned();
    let (trails, key) = (core.trails.clone(), held.key.clone());
    let work = move || {
        let body = if is_packed { unpacked(&body)? } else { body };
        match signal {
            Signal::Traces => spans(&trails, (&key, &key_text), (format, &body), now),
            Signal::Metrics => {
                let count = counted::points(format, &body).map_err(|it| unreadable(&it))?;
                Ok(Rejected::of("rejectedDataPoints", count, ONLY_TRACES))
            }
            Signal::Logs => {
                let count = counted::records(format, &body).map_err(|it| unreadable(&it))?;
                Ok(Rejected::of("rejectedLogRecords", count, ONLY_TRACES))
            }
        }
    };
    // Reading and scrubbing may take a while: not on the threads that calls live on.
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            tracing::error!(%error, "spans could not be read");
            Err(Refused::later(StatusCode::SERVICE_UNAVAILABLE, "try again", AGAIN))
        }
    }
}

/// What is known before the body is read: what it brings, how, and whose it is.
async fn before_body(
    core: &Core,
    head: &Parts,
    format: Option<Format>,
    now: Timestamp,
) -> Result<(Signal, Format, Arc<Held>), Refused> {
    let path = head.uri.path();
    let signal = match path.strip_prefix(PREFIX) {
        Some("/v1/traces") => Signal::Traces,
        Some("/v1/metrics") => Signal::Metrics,
        Some("/v1/logs") => Signal::Logs,
        _ => {
            let message = format!("`{path}` leads nowhere here");
            return Err(Refused::new(StatusCode::NOT_FOUND, message));
        }
    };
    if head.method != Method::POST {
        return Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "telemetry is sent with `POST`"));
    }
    let unauthorized = || Refused::new(StatusCode::UNAUTHORIZED, "no valid key of the gateway");
    let text = key_text(&head.headers).ok_or_else(unauthorized)?;
    let held = core.keys.find(text, now).await.map_err(|error| {
        tracing::error!(%error, "a key cannot be looked up");
        Refused::later(StatusCode::SERVICE_UNAVAILABLE, "keys cannot be looked up now", AGAIN)
    })?;
    let held = held.ok_or_else(unauthorized)?;
    let format = format.ok_or_else(|| {
        let message = "`content-type` is `application/x-protobuf` or `application/json`";
        Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    })?;
    is_packed(&head.headers)?;
    if let Some(wait) = core.trails.rates().wait(&rate_of(&held.key), now) {
        let message = "this key has sent too many spans";
        return Err(Refused::later(StatusCode::TOO_MANY_REQUESTS, message, wait));
    }
    Ok((signal, format, held))
}

/// Reads spans and takes them in.
fn spans(
    trails: &Trails,
    (key, key_text): (&Key, &str),
    (format, body): (Format, &Bytes),
    now: Timestamp,
) -> Result<Option<Rejected>, Refused> {
    let request = match format {
        Format::Protobuf => ExportRequest::decode(body.clone()).map_err(|it| it.to_string()),
        Format::Json => serde_json::from_slice(body).map_err(|it| it.to_string()),
    };
    let request: ExportRequest = request.map_err(|it| unreadable(&it))?;
    let scopes = request.resource_spans.iter().flat_map(|it| &it.scope_spans);
    let count = scopes.map(|it| it.spans.len()).sum::<usize>();
    let settings = trails.settings();
    let per_second = settings.spans_per_second;
    if !trails.is_on() || per_second == 0 {
        return Ok(Rejected::of(SPANS, count, "no spans are kept here"));
    }
    let keep = settings.keep_of(&key.subject);
    let read = Reader { trails, key, key_text, keep, now }.read(request);
    if !trails.take_spans(read.spans) {
        let message = "too many spans wait to be written";
        return Err(Refused::later(StatusCode::SERVICE_UNAVAILABLE, message, AGAIN));
    }
    trails.rates().take(&rate_of(key), (count, per_second), now);
    Ok(Rejected::of(SPANS, read.rejected, read.why.unwrap_or_default()))
}

/// What the rate of a key is counted by.
fn rate_of(key: &Key) -> String {
    let words = key.subject.words();
    let word = |name: &str| words.get(name).map(String::as_str).unwrap_or_default();
    format!("{}/{}/{}", word("team"), word("project"), key.name)
}

fn unreadable(why: &str) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, format!("the request is not understood: {why}"))
}

fn too_large() -> Refused {
    let message =
        format!("a request has {BODY_BYTES} bytes at most, and {UNPACKED_BYTES} unpacked");
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

/// Without parameters, such as `charset`.
fn format_of(headers: &HeaderMap) -> Option<Format> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    match kind.split(';').next()?.trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" => Some(Format::Protobuf),
        "application/json" => Some(Format::Json),
        _ => None,
    }
}

fn is_packed(headers: &HeaderMap) -> Result<bool, Refused> {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|it| it.to_str().ok());
    match encoding.map(str::to_ascii_lowercase).as_deref().unwrap_or("identity") {
        "identity" | "none" | "" => Ok(false),
        "gzip" => Ok(true),
        other => {
            let message = format!("`content-encoding` is `gzip` or none, not `{other}`");
            Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
        }
    }
}

/// Never more than there is room for, whatever a small body says of itself.
fn unpacked(body: &Bytes) -> Result<Bytes, Refused> {
    let mut unpacked = Vec::new();
    let mut decoder = MultiGzDecoder::new(&**body).take(UNPACKED_BYTES + 1);
    decoder.read_to_end(&mut unpacked).map_err(|it| unreadable(&it.to_string()))?;
    if unpacked.len() as u64 > UNPACKED_BYTES {
        return Err(too_large());
    }
    Ok(unpacked.into())
}

fn accepted(format: Format, rejected: Option<Rejected>) -> Response<Answer> {
    let body = match (format, rejected) {
        (Format::Protobuf, rejected) => {
            let partial_success = rejected.map(|it| PartialSuccess {
                rejected: i64::try_from(it.count).unwrap_or(i64::MAX),
                error_message: it.why,
            });
            ExportResponse { partial_success }.encode_to_vec()
        }
        (Format::Json, Some(Rejected { name, count, why })) => {
            let told = json!({name: count.to_string(), "errorMessage": why});
            json!({"partialSuccess": told}).to_string().into_bytes()
        }
        (Format::Json, None) => b"{}".to_vec(),
    };
    response(format, StatusCode::OK, body)
}

fn refusal(format: Format, refused: &Refused) -> Response<Answer> {
    let (code, message) = (refused.code(), refused.message.clone());
    let body = match format {
        Format::Protobuf => RpcStatus { code, message }.encode_to_vec(),
        Format::Json => json!({"code": code, "message": message}).to_string().into_bytes(),
    };
    let mut response = response(format, refused.status, body);
    if let Some(wait) = refused.retry_after {
        let seconds = wait.0.div_ceil(1000).max(1);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn response(format: Format, status: StatusCode, body: Vec<u8>) -> Response<Answer> {
    let kind = match format {
        Format::Protobuf => "application/x-protobuf",
        Format::Json => "application/json",
    };
    let mut response = Response::new(Answer::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

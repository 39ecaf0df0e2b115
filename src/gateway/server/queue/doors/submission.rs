//! An item on its way in: read, held against the bounds, sealed, stored.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::DateTime;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Door, broken, reply};
use crate::gateway::budget::scope::{Kind, OF_ENDPOINTS, is_endpoint};
use crate::gateway::call::admission::key_text;
use crate::gateway::call::answer::Answer;
use crate::gateway::call::headers::ENDPOINT;
use crate::gateway::keys::{Key, digest, hex};
use crate::gateway::route;
use crate::gateway::server::Core;
use crate::gateway::server::queue::purpose;
use crate::gateway::server::queue::view::{Request, Target};
use crate::gateway::server::queue::work::batch::wire::takes;
use crate::gateway::server::usage::header::NAME as USAGE;
use crate::model::{Milliseconds, Timestamp};
use crate::provider::refusal::Refusal;
use crate::provider::{Operation, read_request};
use crate::secrets::{SealError, new_id};
use crate::store::spend::requests::queue::{QueueBounds, QueueItemRow, Submitted};

/// The furthest deadline.
const DEADLINE_MAX: Milliseconds = Milliseconds::from_seconds(7 * 24 * 3600);
/// How long a provider may take for a batch; so much longer has an item that goes into one.
const BATCH_TAKES: Milliseconds = Milliseconds::from_seconds(24 * 3600);
/// Priorities.
const PRIORITIES: std::ops::RangeInclusive<i64> = -100..=100;
/// Letters of a webhook's secret.
const SECRET_LETTERS: std::ops::RangeInclusive<usize> = 16..=200;
/// Letters of its address.
const ADDRESS_LETTERS: usize = 2000;
/// Headers for the call, and letters of each.
const HEADERS_MAX: usize = 32;
const HEADER_LETTERS: usize = 4096;
/// Letters of what a client calls its submission.
const IDEMPOTENCY_LETTERS: usize = 200;
/// When to come again while too much waits.
const FULL_AGAIN: Milliseconds = Milliseconds(10_000);
/// What items are sealed with.
const SEAL: &str = "what seals the items of the queue (the store, or the holder of its keys)";

/// What a client submits.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Submission<'a> {
    path: String,
    #[serde(borrow)]
    body: &'a RawValue,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    on_budget: OnBudget,
    webhook: Option<Webhook>,
    deadline: Option<String>,
    batch: Option<bool>,
    #[serde(default)]
    on_batch: OnBatch,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnBudget {
    #[default]
    Wait,
    Fail,
}

/// What becomes of an item that its batch has no answer for.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnBatch {
    #[default]
    Live,
    Fail,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhook {
    url: String,
    secret: String,
}

impl Door<'_> {
    /// Takes an item in.
    pub(super) async fn submit(
        &self,
        core: &Core,
        key: &Key,
        (head, body): (&Parts, &Bytes),
    ) -> Result<Response<Answer>, Refusal> {
        let text = std::str::from_utf8(body).map_err(|it| unreadable(&it.to_string()))?;
        let submission: Submission<'_> = serde_json::from_str(text)
            .map_err(|it| unreadable(&format!("the request body is not understood: {it}")))?;
        let row = self.row(core, key, (head, &submission, text))?;
        let row = self.sealed(row, &head.headers, &submission).await?;
        let settings = &self.queue.settings;
        let bounds = QueueBounds {
            items_of_line: i64::from(settings.items_per_team),
            bytes: i64::try_from(settings.total_bytes).unwrap_or(i64::MAX),
        };
        let submitted = self.queue.store().submit_queue_item(&row, bounds).await;
        match submitted.map_err(|it| broken(&it))? {
            Submitted::New => {
                self.queue.wake.notify_one();
                let row = QueueItemRow { state: "queued".to_owned(), ..row };
                Ok(reply(StatusCode::ACCEPTED, &json!(self.view(row).await?)))
            }
            Submitted::Before(before) if before.request_digest == row.request_digest => {
                let mut response = reply(StatusCode::ACCEPTED, &json!(self.view(*before).await?));
                let value = hyper::header::HeaderValue::from_static("true");
                response.headers_mut().insert("idempotency-replayed", value);
                Ok(response)
            }
            Submitted::Before(_) => {
                Err(unreadable("this `idempotency-key` was used for something else"))
            }
            Submitted::LineFull => Err(full(format!(
                "{} of the team's items wait or are carried out, which is the most that may",
                settings.items_per_team
            ))),
            Submitted::BytesFull => Err(full(format!(
                "the queue keeps {} bytes of requests and answers, which is the most that it may",
                settings.total_bytes
            ))),
        }
    }

    /// All of an item but what is sealed.
    fn row(
        &self,
        core: &Core,
        key: &Key,
        (head, submission, text): (&Parts, &Submission<'_>, &str),
    ) -> Result<QueueItemRow, Refusal> {
        let now = self.queue.clock.now();
        let (model, may_batch) = self.model(core, key, submission)?;
        let batch = self.batch(submission, may_batch)?;
        let endpoint = key.subject.get(Kind::Endpoint);
        let own = submission.headers.get(ENDPOINT).map(String::as_str);
        let asked = head.headers.get(ENDPOINT).and_then(|it| it.to_str().ok());
        let word = |kind| key.subject.get(kind).unwrap_or_default().to_owned();
        let key_digest = hex(&digest(key_text(&head.headers).unwrap_or_default()));
        Ok(QueueItemRow {
            id: new_id(now),
            line: self.scope.line.clone(),
            team: word(Kind::Team),
            project: word(Kind::Project),
            key_name: key.name.clone(),
            path: submission.path.clone(),
            model,
            endpoint: endpoint.or(own).or(asked).unwrap_or_default().to_owned(),
            priority: priority(submission.priority)?,
            on_budget: match submission.on_budget {
                OnBudget::Wait => "wait".to_owned(),
                OnBudget::Fail => "fail".to_owned(),
            },
            request_bytes: i64::try_from(submission.body.get().len()).unwrap_or(i64::MAX),
            idempotency: idempotency(&head.headers, &key_digest)?,
            request_digest: hex(&digest(text)),
            key_digest,
            created_at: now,
            next_at: now,
            deadline_at: self.deadline((submission, !batch.is_empty()), now)?,
            batch,
            ..QueueItemRow::default()
        })
    }

    /// What becomes of an item that goes into a batch and has no answer of it; empty for one that is called.
    fn batch(&self, submission: &Submission<'_>, may_batch: bool) -> Result<String, Refusal> {
        let asked = submission.batch.unwrap_or(self.queue.settings.batch && may_batch);
        match (asked, may_batch, submission.on_batch) {
            (false, _, _) => Ok(String::new()),
            (true, true, OnBatch::Live) => Ok("live".to_owned()),
            (true, true, OnBatch::Fail) => Ok("fail".to_owned()),
            (true, false, _) => Err(unreadable(
                "this cannot be part of a batch: no route of its model has `batch = true`, it is a stream, or it is of a \
                 kind that no provider takes in batches",
            )),
        }
    }

    /// The model, once it is known that this key may call it and that a route leads to it; and whether it may be part of a
    /// batch.
    fn model(
        &self,
        core: &Core,
        key: &Key,
        submission: &Submission<'_>,
    ) -> Result<(String, bool), Refusal> {
        let path = &submission.path;
        let nowhere = || unreadable(&format!("`{path}` is no call to a model"));
        let operation = Operation::of_path(path).ok_or_else(nowhere)?;
        let body = submission.body.get();
        let limit_bytes = self.queue.settings.request_bytes;
        if body.len() as u64 > limit_bytes {
            return Err(Refusal::TooLarge { limit_bytes });
        }
        let asked = read_request(operation, body.as_bytes());
        let asked = asked.map_err(|it| unreadable(&it.to_string()))?;
        let is_stream = asked.is_stream;
        let model = asked.model.into_owned();
        if key.models.as_ref().is_some_and(|it| !it.matches(&model)) {
            return Err(Refusal::Forbidden(format!("this key may not call the model `{model}`")));
        }
        let dialect = operation.dialect();
        let steps = route::steps(&core.routes, &core.known, &model, dialect, 0);
        if steps.is_empty() {
            return Err(Refusal::NotFound(format!("no route leads to the model `{model}`")));
        }
        let may_batch = !is_stream && takes(operation) && steps.iter().any(|it| it.batch);
        Ok((model, may_batch))
    }

    fn deadline(
        &self,
        (submission, has_batch): (&Submission<'_>, bool),
        now: Timestamp,
    ) -> Result<Timestamp, Refusal> {
        let Some(text) = &submission.deadline else {
            let batch = if has_batch { BATCH_TAKES } else { Milliseconds(0) };
            return Ok(now.plus(self.queue.settings.deadline_ms).plus(batch));
        };
        let wrong = || unreadable("`deadline` is a moment such as `2027-01-31T18:00:00Z`");
        let at = DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
        let at = Timestamp(at.timestamp_millis());
        if at <= now || at > now.plus(DEADLINE_MAX) {
            return Err(unreadable("`deadline` is over, or more than 7 days away"));
        }
        Ok(at)
    }

    async fn sealed(
        &self,
        row: QueueItemRow,
        given: &HeaderMap,
        submission: &Submission<'_>,
    ) -> Result<QueueItemRow, Refusal> {
        let sealer = &self.queue.parts.sealer;
        let headers = headers(given, &submission.headers)?;
        let request = Request { headers, body: submission.body.get().to_owned() };
        let request = serde_json::to_string(&request).map_err(|it| unreadable(&it.to_string()))?;
        let mut row = row;
        let sealed = sealer.seal(&purpose(&row.id, "request"), &request).await;
        row.request = sealed.map_err(|it| unsealed(&it))?;
        if let Some(webhook) = &submission.webhook {
            let target = serde_json::to_string(&self.target(webhook)?);
            let target = target.map_err(|it| unreadable(&it.to_string()))?;
            let sealed = sealer.seal(&purpose(&row.id, "webhook"), &target).await;
            row.webhook = sealed.map_err(|it| unsealed(&it))?;
        }
        Ok(row)
    }

    fn target(&self, webhook: &Webhook) -> Result<Target, Refusal> {
        let Webhook { url, secret } = webhook;
        if url.len() > ADDRESS_LETTERS {
            let what = format!("the `url` of a webhook has at most {ADDRESS_LETTERS} letters");
            return Err(unreadable(&what));
        }
        self.queue.parts.outgoing.admit(url).map_err(|it| unreadable(&it.to_string()))?;
        if !SECRET_LETTERS.contains(&secret.len()) {
            let (least, most) = (SECRET_LETTERS.start(), SECRET_LETTERS.end());
            let what = format!("the `secret` of a webhook has {least} to {most} letters");
            return Err(unreadable(&what));
        }
        Ok(Target { url: url.clone(), secret: secret.clone() })
    }
}

/// Headers that the call is made with: those that the client names, and of its own those that say how calls to
/// models are made.
fn headers(
    given: &HeaderMap,
    named: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut headers = BTreeMap::new();
    for (name, value) in given {
        let name = name.as_str();
        // What is reported with a submission is charged with it, and not again with its call.
        let counts = (name.starts_with("x-trunkline-") && name != USAGE)
            || name.starts_with("anthropic-")
            || name == "traceparent";
        if let (true, Ok(value)) = (counts, value.to_str()) {
            headers.insert(name.to_owned(), value.to_owned());
        }
    }
    headers.extend(named.iter().map(|(name, value)| (name.to_lowercase(), value.clone())));
    if headers.contains_key(USAGE) {
        return Err(unreadable(&format!(
            "`{USAGE}` is a header of the submission, not of its call"
        )));
    }
    if headers.len() > HEADERS_MAX {
        return Err(unreadable(&format!("a call has at most {HEADERS_MAX} headers")));
    }
    for (name, value) in &headers {
        let is_name = hyper::header::HeaderName::from_bytes(name.as_bytes()).is_ok();
        let is_value = hyper::header::HeaderValue::from_str(value).is_ok();
        if !is_name || !is_value || value.len() > HEADER_LETTERS {
            return Err(unreadable(&format!("the header `{name}` may not be sent")));
        }
        if name == ENDPOINT && !value.is_empty() && !is_endpoint(value) {
            return Err(unreadable(&format!("`{ENDPOINT}` has {OF_ENDPOINTS}")));
        }
    }
    Ok(headers)
}

fn idempotency(headers: &HeaderMap, key_digest: &str) -> Result<String, Refusal> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(String::new()) };
    let name = value.to_str().ok().filter(|it| (1..=IDEMPOTENCY_LETTERS).contains(&it.len()));
    let name = name.ok_or_else(|| {
        unreadable(&format!("`idempotency-key` has 1 to {IDEMPOTENCY_LETTERS} letters"))
    })?;
    Ok(hex(&digest(&format!("{key_digest} {name}"))))
}

fn priority(priority: i64) -> Result<i64, Refusal> {
    if PRIORITIES.contains(&priority) {
        return Ok(priority);
    }
    Err(unreadable("`priority` is a number from -100 to 100"))
}

fn unreadable(what: &str) -> Refusal {
    Refusal::Unreadable(what.to_owned())
}

fn full(message: String) -> Refusal {
    Refusal::Full { retry_after: FULL_AGAIN, message }
}

fn unsealed(error: &SealError) -> Refusal {
    tracing::error!(%error, "an item of the queue cannot be sealed");
    Refusal::Away { what: SEAL, retry_after: FULL_AGAIN }
}

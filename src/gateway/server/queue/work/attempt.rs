//! One try of an item: its call is made as any other, and what came of it is written down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::response::Parts;
use serde_json::Value;

use super::super::verdict::{self, Before, Seen, Verdict};
use super::super::view::{Kept, Request};
use super::super::{Queue, Running, Why, purpose};
use crate::gateway::call::Call;
use crate::gateway::call::admission::{Arrived, call_of};
use crate::gateway::call::answer::Answer;
use crate::gateway::call::headers::{request_id, retry_after};
use crate::gateway::server::Core;
use crate::gateway::settings::{ClientGone, Limits};
use crate::metrics;
use crate::provider::Operation;
use crate::provider::refusal::Refusal;
use crate::provider::said::plain;
use crate::store::spend::requests::queue::{EndedItem, Postponed, QueueItemRow};

/// How long a call that is to end may take to do so.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often what came of a try is tried to be written down, and how long it rests between.
const WRITES: u32 = 15;
const REST: Duration = Duration::from_secs(2);
/// Letters of an error that are kept.
const ERROR_LETTERS: usize = 500;

/// What came of a try.
struct Tried {
    verdict: Verdict,
    message: String,
    answer: Option<Kept>,
    request_id: String,
}

/// What becomes of the item.
pub(super) enum Outcome {
    Ended(EndedItem, Option<Kept>),
    Postponed(Postponed),
}

/// Makes the call of an item that was taken, and writes down what came of it.
pub(super) async fn carry_out(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    row: &QueueItemRow,
    running: &Running,
) {
    let id = core.new_id();
    let tried = match call(core, queue, (row, running), id).await {
        Ok(call) => answered(queue, row, (call, running)).await,
        Err(refusal) => refused(queue, row, &refusal),
    };
    let tried = Tried { request_id: request_id(id), ..tried };
    let outcome = match running.why.get() {
        // Its answer is there, whatever somebody wanted.
        _ if tried.verdict == Verdict::Done => outcome_of(queue, row, tried),
        Some(Why::Taken) => return,
        Some(Why::Cancelled) => cancelled(queue, row, tried.request_id),
        Some(Why::Leaving) => Outcome::Postponed(Postponed {
            next_at: queue.clock.now(),
            failures: row.failures,
            waits: row.waits,
            request_id: tried.request_id,
            ..Postponed::default()
        }),
        None => outcome_of(queue, row, tried),
    };
    write(queue, row, outcome).await;
}

/// The call, as if it had just come in.
pub(super) async fn call(
    core: &Arc<Core>,
    queue: &Queue,
    (row, running): (&QueueItemRow, &Running),
    id: u128,
) -> Result<Call, Refusal> {
    let at = core.clock.now();
    let later = |why: &dyn std::fmt::Display| {
        tracing::error!(item = row.id, error = %why, "an item of the queue cannot be made a call");
        Refusal::Upstream("the gateway could not read it".to_owned())
    };
    let opened = queue.parts.sealer.open(&purpose(&row.id, "request"), &row.request).await;
    let request: Request =
        serde_json::from_str(&opened.map_err(|it| later(&it))?).map_err(|it| later(&it))?;
    let digest = hex::decode(&row.key_digest).ok().and_then(|it| it.try_into().ok());
    let held = match digest {
        Some(digest) => core.keys.find_digest(digest, at).await.map_err(|it| later(&it))?,
        None => None,
    };
    let ended = || Refusal::Forbidden("the key that it was submitted with has ended".to_owned());
    let held = held.ok_or_else(ended)?;
    let nowhere = || Refusal::NotFound(format!("`{}` leads nowhere here", row.path));
    let operation = Operation::of_path(&row.path).ok_or_else(nowhere)?;
    let arrived = Arrived {
        id,
        at,
        started: Instant::now(),
        operation,
        query: None,
        headers: headers(&request.headers),
        body: Bytes::from(request.body),
    };
    let mut call = call_of(core, &held.key, arrived)?;
    let left = row.deadline_at.since(at).min(queue.settings.call_ms);
    call.limits = Limits {
        first_token_ms: left,
        total_ms: left,
        answer_bytes: queue.settings.answer_bytes,
        client_gone: ClientGone::Stop,
        ..call.limits
    };
    call.stop = Some(running.stop.clone());
    Ok(call)
}

fn headers(named: &BTreeMap<String, String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in named {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    headers
}

async fn answered(queue: &Queue, row: &QueueItemRow, (call, running): (Call, &Running)) -> Tried {
    let gone = async {
        running.stop.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    let response = tokio::select! {
        response = Box::new(call).run() => response,
        () = gone => return refused(queue, row, &Refusal::Upstream("it was stopped".to_owned())),
    };
    let (head, body) = response.into_parts();
    match read(body, queue.settings.answer_bytes, running).await {
        Some((text, is_whole)) => judged(queue, row, (&head, text, is_whole)),
        None => too_large(queue),
    }
}

/// An answer of which nothing is kept.
fn too_large(queue: &Queue) -> Tried {
    Tried {
        verdict: Verdict::Failed { reason: verdict::TOO_LARGE },
        message: verdict::too_large(&queue.settings),
        answer: None,
        request_id: String::new(),
    }
}

/// The whole body, and whether a stream came to its end; nothing of one that is too large. What is dropped is settled.
async fn read(mut body: Answer, limit_bytes: u64, running: &Running) -> Option<(String, bool)> {
    let mut all = Vec::new();
    while let Some(Some(Ok(frame))) = running.stop.run_until_cancelled(body.frame()).await {
        all.extend_from_slice(&frame.into_data().unwrap_or_default());
        if all.len() as u64 > limit_bytes {
            return None;
        }
    }
    let is_whole = match &body {
        Answer::Full(_) => true,
        Answer::Live(live) => live.is_whole(),
    };
    Some((String::from_utf8_lossy(&all).into_owned(), is_whole))
}

fn judged(
    queue: &Queue,
    row: &QueueItemRow,
    (head, text, is_whole): (&Parts, String, bool),
) -> Tried {
    let refusal = head.extensions.get::<Refusal>();
    let message = match refusal {
        Some(refusal) => refusal.message(),
        None if head.status.is_success() => "the stream of the provider broke off".to_owned(),
        None => said(&text).unwrap_or_else(|| format!("the provider answers {}", head.status)),
    };
    let seen = Seen {
        status: head.status.as_u16(),
        refusal,
        retry_after: retry_after(&head.headers, queue.clock.now()),
        is_whole,
    };
    let verdict = verdict::judge(&seen, before(row), &queue.settings);
    if verdict == (Verdict::Failed { reason: verdict::TOO_LARGE }) {
        return too_large(queue);
    }
    let tells = |name: &str| {
        name == "content-type" || name.starts_with("x-trunkline-") || name == "retry-after"
    };
    let headers = head.headers.iter().filter(|it| tells(it.0.as_str()));
    let headers = headers.filter_map(|it| Some((it.0.to_string(), it.1.to_str().ok()?.to_owned())));
    let status = head.status.as_u16();
    let answer = Kept { status, headers: headers.collect(), body: text };
    Tried { verdict, message, answer: Some(answer), request_id: String::new() }
}

/// What came of a call that was never made.
fn refused(queue: &Queue, row: &QueueItemRow, refusal: &Refusal) -> Tried {
    let seen = Seen { status: 0, refusal: Some(refusal), retry_after: None, is_whole: false };
    let verdict = verdict::judge(&seen, before(row), &queue.settings);
    let message = refusal.message();
    Tried { verdict, message, answer: None, request_id: String::new() }
}

fn before(row: &QueueItemRow) -> Before {
    let count = |it: i64| u32::try_from(it).unwrap_or(u32::MAX);
    Before {
        failures: count(row.failures),
        waits: count(row.waits),
        waits_for_budget: row.on_budget == "wait",
    }
}

/// What a provider says of its own error, in either format.
pub(super) fn said(text: &str) -> Option<String> {
    let json: Value = serde_json::from_str(text).ok()?;
    let message = json.get("error")?.get("message")?.as_str()?;
    Some(plain(message, ERROR_LETTERS))
}

/// What becomes of an item that may not be called.
pub(super) fn outcome_of_refusal(queue: &Queue, row: &QueueItemRow, refusal: &Refusal) -> Outcome {
    let tried = Tried { request_id: row.request_id.clone(), ..refused(queue, row, refusal) };
    outcome_of(queue, row, tried)
}

fn outcome_of(queue: &Queue, row: &QueueItemRow, tried: Tried) -> Outcome {
    let now = queue.clock.now();
    let Tried { verdict, message, answer, request_id } = tried;
    let ended = |state: &str, reason: &str| EndedItem {
        state: state.to_owned(),
        reason: reason.to_owned(),
        failures: row.failures,
        request_id: request_id.clone(),
        at: now,
        ..EndedItem::default()
    };
    let later = |reason: &str, next_at, (failures, waits)| {
        Outcome::Postponed(Postponed {
            next_at,
            failures,
            waits,
            reason: reason.to_owned(),
            error: message.clone(),
            request_id: request_id.clone(),
            is_live: false,
        })
    };
    match verdict {
        Verdict::Done => Outcome::Ended(ended("done", ""), answer),
        Verdict::Failed { reason } => {
            let failures = row.failures.saturating_add(1);
            let ended = EndedItem { error: message, failures, ..ended("failed", reason) };
            Outcome::Ended(ended, answer)
        }
        Verdict::Wait { reason, after } => {
            let next_at = now.plus(after).min(row.deadline_at);
            later(reason, next_at, (row.failures, row.waits.saturating_add(1)))
        }
        Verdict::Again { reason, after } => {
            let next_at = now.plus(after).min(row.deadline_at);
            later(reason, next_at, (row.failures.saturating_add(1), 0))
        }
    }
}

pub(super) fn cancelled(queue: &Queue, row: &QueueItemRow, request_id: String) -> Outcome {
    let ended = EndedItem {
        state: "cancelled".to_owned(),
        failures: row.failures,
        request_id,
        at: queue.clock.now(),
        ..EndedItem::default()
    };
    Outcome::Ended(ended, None)
}

/// Writes it down, and again while the store or the holder of the keys does not answer. If they do not for long,
/// the lease ends and the item is taken again.
pub(super) async fn write(queue: &Queue, row: &QueueItemRow, outcome: Outcome) {
    for _ in 0..WRITES {
        match write_once(queue, row, &outcome).await {
            Ok(()) => return,
            Err(error) => {
                tracing::error!(item = row.id, error, "what came of an item cannot be written");
            }
        }
        tokio::time::sleep(REST).await;
    }
}

async fn write_once(queue: &Queue, row: &QueueItemRow, outcome: &Outcome) -> Result<(), String> {
    let place = (row.id.as_str(), row.lease_epoch);
    let ended = match outcome {
        Outcome::Postponed(postponed) => {
            let done = queue.store().postpone_queue_item(place, postponed).await;
            if done.map_err(|it| it.to_string())? {
                return Ok(());
            }
            // Somebody wants its end, or another process has it, for which the next does nothing.
            let Outcome::Ended(ended, _) = cancelled(queue, row, postponed.request_id.clone())
            else {
                return Ok(());
            };
            ended
        }
        Outcome::Ended(ended, None) => ended.clone(),
        Outcome::Ended(ended, Some(answer)) => {
            let text = serde_json::to_string(answer).map_err(|it| it.to_string())?;
            let sealed = queue.parts.sealer.seal(&purpose(&row.id, "answer"), &text).await;
            EndedItem {
                answer: sealed.map_err(|it| it.to_string())?,
                answer_bytes: i64::try_from(answer.body.len()).unwrap_or(i64::MAX),
                ..ended.clone()
            }
        }
    };
    let done = queue.store().end_queue_item(place, &ended).await.map_err(|it| it.to_string())?;
    if done {
        metrics::queue_item_ended(word(&ended.state));
    }
    Ok(())
}

fn word(state: &str) -> &'static str {
    match state {
        "done" => "done",
        "cancelled" => "cancelled",
        _ => "failed",
    }
}

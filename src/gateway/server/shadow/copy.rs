//! One copy: the call with the candidate's model and prompt, made as any other call, and compared with the answer
//! that the client got.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::header::HeaderValue;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{ANSWER_BYTES, Job, Primary, Sample, Seen, Shadow, milliseconds, patience, said};
use crate::gateway::budget::scope::{Kind, Subject};
use crate::gateway::call::Call;
use crate::gateway::call::admission::{Arrived, call_of};
use crate::gateway::call::answer::Answer;
use crate::gateway::call::headers::request_id;
use crate::gateway::guard::schema::{self, Schema};
use crate::gateway::keys::Key;
use crate::gateway::ledger::Sum;
use crate::gateway::ledger::notes::Notes;
use crate::gateway::server::Core;
use crate::gateway::settings::{ClientGone, Limits};
use crate::metrics;
use crate::provider::Operation;
use crate::provider::refusal::Refusal;
use crate::secrets::new_id;
use crate::store::spend::requests::shadow::PairRow;

/// Makes a copy and keeps what became of the pair.
pub(super) async fn make(core: &Arc<Core>, job: Job, stop: CancellationToken) {
    let Job { sample, primary } = job;
    let notes = Arc::new(Notes::default());
    let id = core.new_id();
    let copied = match call(core, &sample, (id, &notes, &stop)) {
        Ok(call) => answered(call, &stop).await,
        Err(_) => Seen { reason: "refused".to_owned(), ..Seen::default() },
    };
    let Some(seen) = whole(primary, patience(core).into(), &stop).await else { return };
    if stop.is_cancelled() {
        return;
    }
    sample.shadow.made.fetch_add(1, Ordering::Relaxed);
    metrics::shadow_copy(if copied.reason.is_empty() { "answered" } else { "failed" });
    let row = PairRow { copy: request_id(id), ..pair(&sample, &seen, (&copied, notes.sum())) };
    let row = PairRow { id: new_id(core.clock.now()), ..row };
    if let Err(error) = core.shadows.keep(row).await {
        tracing::warn!(%error, "a pair of a shadow could not be kept");
    }
}

/// The call of a copy.
fn call(
    core: &Arc<Core>,
    sample: &Sample,
    (id, notes, stop): (u128, &Arc<Notes>, &CancellationToken),
) -> Result<Call, Refusal> {
    let shadow = &sample.shadow;
    let mut subject = Subject::default().with(Kind::Endpoint, shadow.endpoint());
    if let Some(organisation) = &sample.organisation {
        subject = subject.with(Kind::Organisation, organisation.as_str());
    }
    let mut headers = sample.headers.clone();
    headers.remove("x-trunkline-endpoint");
    headers.insert("x-trunkline-cache", HeaderValue::from_static("off"));
    let body = rewritten(shadow, sample.operation, &sample.body)?;
    let at = core.clock.now();
    let operation = sample.operation;
    // Another provider may have other ways to be asked.
    let query = None;
    let arrived = Arrived { id, at, started: Instant::now(), operation, query, headers, body };
    let key = Key { name: shadow.endpoint(), subject, ..Key::default() };
    let mut call = call_of(core, &key, arrived)?;
    call.notes = Some(notes.clone());
    call.stop = Some(stop.clone());
    call.is_copy = true;
    let limits = call.limits;
    call.limits = Limits { attempts: 1, client_gone: ClientGone::Stop, ..limits };
    Ok(call)
}

/// The request with the candidate's model and prompt.
fn rewritten(shadow: &Shadow, operation: Operation, body: &Bytes) -> Result<Bytes, Refusal> {
    let mut request: Value =
        serde_json::from_slice(body).map_err(|it| Refusal::Unreadable(it.to_string()))?;
    let Some(fields) = request.as_object_mut() else { return Ok(body.clone()) };
    if let Some(model) = &shadow.settings.model {
        fields.insert("model".to_owned(), json!(model));
    }
    if let Some(prompt) = &shadow.prompt {
        match operation {
            Operation::Messages => drop(fields.insert("system".to_owned(), json!(prompt))),
            Operation::Responses => drop(fields.insert("instructions".to_owned(), json!(prompt))),
            Operation::ChatCompletions
            | Operation::Completions
            | Operation::Embeddings
            | Operation::Moderations
            | Operation::CountTokens => prompt_of_chat(fields.get_mut("messages"), prompt),
        }
    }
    Ok(Bytes::from(request.to_string()))
}

/// The first message of the system or the developer is the prompt.
fn prompt_of_chat(messages: Option<&mut Value>, prompt: &str) {
    let Some(messages) = messages.and_then(Value::as_array_mut) else { return };
    let is_prompt =
        |it: &Value| matches!(it.get("role").and_then(Value::as_str), Some("system" | "developer"));
    match messages.iter().position(is_prompt).and_then(|it| messages.get_mut(it)) {
        Some(Value::Object(message)) => drop(message.insert("content".to_owned(), json!(prompt))),
        Some(_) => {}
        None => messages.insert(0, json!({"role": "system", "content": prompt})),
    }
}

async fn answered(call: Call, stop: &CancellationToken) -> Seen {
    let started = Instant::now();
    let Some(response) = stop.run_until_cancelled(Box::pin(Box::new(call).run())).await else {
        return Seen::default();
    };
    let (head, mut body) = response.into_parts();
    let mut seen = Seen { status: head.status.as_u16(), ..Seen::default() };
    seen.first = started.elapsed();
    let mut all = Vec::new();
    while let Some(Some(Ok(frame))) = stop.run_until_cancelled(body.frame()).await {
        let piece = frame.into_data().unwrap_or_default();
        let room = ANSWER_BYTES.saturating_sub(all.len());
        all.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
    }
    seen.total = started.elapsed();
    seen.body = Bytes::from(all);
    let is_cut = matches!(&body, Answer::Live(live) if !live.is_whole());
    seen.reason = match head.extensions.get::<Refusal>() {
        Some(Refusal::Budget { .. }) => "budget".to_owned(),
        Some(Refusal::Guardrail { .. }) => "guardrail".to_owned(),
        Some(Refusal::Timeout(_)) => "timeout".to_owned(),
        Some(Refusal::NotFound(_) | Refusal::Forbidden(_)) => "refused".to_owned(),
        Some(_) => "upstream".to_owned(),
        None if !head.status.is_success() => format!("status {}", head.status.as_u16()),
        None if is_cut => "cut".to_owned(),
        None => String::new(),
    };
    if !seen.reason.is_empty() && head.status.is_success() {
        seen.status = 0;
    }
    seen
}

/// The answer that the client gets, at its end; none when it never comes to one.
async fn whole(primary: Primary, patience: Duration, stop: &CancellationToken) -> Option<Seen> {
    let (status, first, rest) = match primary {
        Primary::Whole(seen) => return Some(seen),
        Primary::Stream(status, first, rest) => (status, first, rest),
    };
    let rest = tokio::time::timeout(patience, rest);
    let tapped = stop.run_until_cancelled(rest).await?.ok()?.ok()?;
    let status = if tapped.is_whole { status } else { 0 };
    let (total, body) = (first + tapped.after, tapped.body);
    Some(Seen { status, first, total, body, ..Seen::default() })
}

fn pair(sample: &Sample, seen: &Seen, (copied, spent): (&Seen, Sum)) -> PairRow {
    let shadow = &sample.shadow;
    let schema = shadow.schema.clone().or_else(|| {
        let request: Value = serde_json::from_slice(&sample.body).ok()?;
        schema::of_request(&request)
    });
    let of = |seen: &Seen| {
        let is_answer = (200..300).contains(&seen.status);
        is_answer.then(|| said::read(sample.operation, &seen.body))
    };
    let (one, other) = (of(seen), of(copied));
    let fits = |said: &Option<said::Said>| {
        let said = said.as_ref().filter(|it| !it.is_refusal)?;
        Some(check(schema.as_deref()?, &said.text))
    };
    let similarity = one.as_ref().zip(other.as_ref());
    let count = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    let own = sample.notes.sum();
    PairRow {
        shadow: shadow.settings.name.clone(),
        at: sample.at,
        request: request_id(sample.id),
        endpoint: sample.endpoint.clone(),
        team: sample.team.clone(),
        model: sample.model.clone(),
        candidate: shadow.settings.model.clone().unwrap_or_else(|| sample.model.clone()),
        status: i64::from(seen.status),
        copy_status: i64::from(copied.status),
        reason: copied.reason.clone(),
        total_ms: milliseconds(seen.total),
        copy_total_ms: milliseconds(copied.total),
        first_ms: milliseconds(seen.first),
        copy_first_ms: milliseconds(copied.first),
        cost: own.cost,
        copy_cost: spent.cost,
        output_tokens: count(own.output_tokens),
        copy_output_tokens: count(spent.output_tokens),
        refused: one.as_ref().is_some_and(|it| it.is_refusal),
        copy_refused: other.as_ref().is_some_and(|it| it.is_refusal),
        fits: fits(&one),
        copy_fits: fits(&other),
        similarity: similarity.map(|(one, other)| said::similarity(&one.text, &other.text)),
        ..PairRow::default()
    }
}

fn check(schema: &Schema, text: &str) -> bool {
    schema.check(text).is_ok()
}

//! The queue over HTTP: submit, look, wait, list, cancel. A key sees what keys of its team and project have
//! submitted, and nothing else.

mod submission;

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde_json::json;

use super::view::{AnswerView, ItemView, Kept};
use super::{Queue, Why, purpose};
use crate::gateway::budget::scope::Kind;
use crate::gateway::call::answer::Answer;
use crate::gateway::keys::Key;
use crate::gateway::server::Core;
use crate::model::Milliseconds;
use crate::provider::refusal::{Refusal, STORE};
use crate::store::StoreError;
use crate::store::spend::requests::queue::{Cancelled, QueueItemRow, QueueScope};

/// Where all of this is.
const PATH: &str = "/v1/queue";
/// Items of a list, at most and when nobody says.
const LIST_MAX: u32 = 100;
const LIST: u32 = 20;
/// How long a client may wait for an end.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// How often the store is asked meanwhile: the end may be known to another process alone.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// When to come again while the store does not answer.
const STORE_AGAIN: Milliseconds = Milliseconds(1_000);

/// Whether a path is one of the queue's.
pub(in crate::gateway) fn is_path(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers one request.
pub(in crate::gateway) async fn answer(
    core: &Core,
    key: &Key,
    (head, body): (&Parts, &Bytes),
) -> Result<Response<Answer>, Refusal> {
    let path = head.uri.path();
    let nowhere = || Refusal::NotFound(format!("`{} {path}` leads nowhere here", head.method));
    let queue = core.queue.as_ref().ok_or_else(nowhere)?;
    let query = head.uri.query().unwrap_or_default();
    let id = path.strip_prefix(PATH).unwrap_or_default().trim_start_matches('/');
    let door = Door { queue, scope: scope_of(key) };
    match (&head.method, id) {
        (&Method::POST, "") => door.submit(core, key, (head, body)).await,
        (&Method::GET, "") => door.list(query).await,
        (&Method::GET, id) => door.show(id, query).await,
        (&Method::DELETE, id) if !id.is_empty() => door.cancel(id).await,
        _ => Err(nowhere()),
    }
}

/// Whose items a key may see.
fn scope_of(key: &Key) -> QueueScope {
    let line = match key.subject.get(Kind::Team) {
        Some(team) => format!("team/{team}"),
        None => format!("key/{}", key.name),
    };
    let project = key.subject.get(Kind::Project).unwrap_or_default().to_owned();
    QueueScope { line, project }
}

/// The queue, for one client.
struct Door<'a> {
    queue: &'a Queue,
    scope: QueueScope,
}

impl Door<'_> {
    async fn show(&self, id: &str, query: &str) -> Result<Response<Answer>, Refusal> {
        let wait = match value(query, "wait") {
            Some(text) => seconds(text)?.min(WAIT_MAX),
            None => Duration::ZERO,
        };
        let row = self.wait_for(id, wait).await?.ok_or_else(|| missing(id))?;
        let view = self.view(row).await?;
        Ok(reply(StatusCode::OK, &json!(view)))
    }

    /// The item, once it has ended or the patience of its client has.
    async fn wait_for(&self, id: &str, wait: Duration) -> Result<Option<QueueItemRow>, Refusal> {
        let find = || self.queue.store().find_queue_item(&self.scope, id);
        // A list of those who wait has an end: who finds no place is answered at once.
        let place = self.queue.clients.try_acquire().ok().filter(|_| !wait.is_zero());
        let mut ended = self.queue.ended.subscribe();
        let until = tokio::time::Instant::now() + wait;
        loop {
            let row = find().await.map_err(|it| broken(&it))?;
            let is_over = tokio::time::Instant::now() >= until || self.queue.stop.is_cancelled();
            let is_unfinished = row.as_ref().is_some_and(|it| it.ended_at.is_none());
            if place.is_none() || is_over || !is_unfinished {
                return Ok(row);
            }
            tokio::select! {
                _ = ended.changed() => {}
                () = tokio::time::sleep_until((tokio::time::Instant::now() + ASK_EVERY).min(until)) => {}
                () = self.queue.stop.cancelled() => {}
            }
        }
    }

    async fn list(&self, query: &str) -> Result<Response<Answer>, Refusal> {
        let state = value(query, "state").unwrap_or_default();
        if !["", "queued", "running", "done", "failed", "cancelled"].contains(&state) {
            let what = "`state` is one of queued, running, done, failed and cancelled";
            return Err(Refusal::Unreadable(what.to_owned()));
        }
        let limit = match value(query, "limit") {
            None => LIST,
            Some(text) => {
                text.parse().ok().filter(|it| (1..=LIST_MAX).contains(it)).ok_or_else(|| {
                    Refusal::Unreadable(format!("`limit` is a number from 1 to {LIST_MAX}"))
                })?
            }
        };
        let before = value(query, "before").unwrap_or_default();
        let rows = self.queue.store().list_queue_items(&self.scope, (state, before), limit).await;
        let rows = rows.map_err(|it| broken(&it))?;
        let is_full = rows.len() == limit as usize;
        let next = rows.last().filter(|_| is_full).map(|it| it.id.clone());
        let items: Vec<_> = rows.into_iter().map(|it| ItemView::new(it, None, None)).collect();
        Ok(reply(StatusCode::OK, &json!({"object": "list", "data": items, "next": next})))
    }

    /// One that waits ends at once; one that is carried out as soon as its process knows.
    async fn cancel(&self, id: &str) -> Result<Response<Answer>, Refusal> {
        let now = self.queue.clock.now();
        let cancelled = self.queue.store().cancel_queue_item(&self.scope, id, now).await;
        let (status, row) = match cancelled.map_err(|it| broken(&it))? {
            Cancelled::Nowhere => return Err(missing(id)),
            Cancelled::AtOnce(row) => {
                crate::metrics::queue_item_ended("cancelled");
                self.queue.tell_ended();
                (StatusCode::OK, row)
            }
            Cancelled::Asked(row) => {
                let running = self.queue.lock().get(id).cloned();
                if let Some(running) = running.filter(|it| it.epoch == row.lease_epoch) {
                    running.stop(Why::Cancelled);
                }
                (StatusCode::ACCEPTED, row)
            }
            Cancelled::TooLate(row) => (StatusCode::OK, row),
        };
        Ok(reply(status, &json!(self.view(*row).await?)))
    }

    async fn view(&self, row: QueueItemRow) -> Result<ItemView, Refusal> {
        let position = if row.state == "queued" {
            let before = self.queue.store().count_queue_items_before(&row).await;
            Some(before.map_err(|it| broken(&it))?.saturating_add(1))
        } else {
            None
        };
        let answer = if row.answer.is_empty() { None } else { Some(self.answer_of(&row).await?) };
        Ok(ItemView::new(row, position, answer))
    }

    async fn answer_of(&self, row: &QueueItemRow) -> Result<AnswerView, Refusal> {
        let unreadable = |why: &dyn std::fmt::Display| {
            tracing::error!(item = row.id, error = %why, "an answer of the queue cannot be opened");
            Refusal::Upstream("the answer is kept, and cannot be opened now".to_owned())
        };
        let opened = self.queue.parts.sealer.open(&purpose(&row.id, "answer"), &row.answer).await;
        let opened = opened.map_err(|it| unreadable(&it))?;
        let kept: Kept = serde_json::from_str(&opened).map_err(|it| unreadable(&it))?;
        Ok(kept.into())
    }
}

fn missing(id: &str) -> Refusal {
    Refusal::NotFound(format!("there is no item `{id}` that this key may see"))
}

fn broken(error: &StoreError) -> Refusal {
    tracing::error!(%error, "the queue cannot be read or written");
    Refusal::Away { what: STORE, retry_after: STORE_AGAIN }
}

fn reply(status: StatusCode, json: &serde_json::Value) -> Response<Answer> {
    let mut response = Response::new(Answer::full(json.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let id = json.get("id").and_then(serde_json::Value::as_str);
    if let Some(place) = id.and_then(|it| HeaderValue::from_str(&format!("{PATH}/{it}")).ok()) {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

/// The value of a name in a query: words and numbers, which need no escapes.
fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|it| it.split_once('=')).find(|it| it.0 == name).map(|it| it.1)
}

/// `30s`, or `30`.
fn seconds(text: &str) -> Result<Duration, Refusal> {
    let number = text.strip_suffix('s').unwrap_or(text).parse();
    let wrong = |_| Refusal::Unreadable("`wait` is a number of seconds, such as `30s`".to_owned());
    number.map(Duration::from_secs).map_err(wrong)
}

//! Items as clients see them, and what is sealed of them.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Timestamp;
use crate::store::spend::requests::queue::QueueItemRow;

/// What is to be sent, sealed in the store.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// What came back, sealed in the store.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// Who is told of an end, sealed in the store.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) secret: String,
}

/// An item.
#[derive(Debug, Serialize)]
pub(super) struct ItemView {
    id: String,
    object: &'static str,
    state: String,
    /// From 1; while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<i64>,
    path: String,
    model: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    endpoint: String,
    key: String,
    priority: i64,
    on_budget: String,
    attempts: i64,
    failures: i64,
    /// Somebody has asked for its end.
    is_cancelling: bool,
    created_at: String,
    deadline: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// What becomes of it when its batch has no answer: `live` or `fail`.
    #[serde(skip_serializing_if = "String::is_empty")]
    on_batch: String,
    /// The batch that it is in, or was in last.
    #[serde(skip_serializing_if = "String::is_empty")]
    batch_id: String,
    /// Of its last try, in the ledger.
    #[serde(skip_serializing_if = "String::is_empty")]
    request_id: String,
    /// Why it waits or has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<WebhookView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerView>,
}

#[derive(Debug, Serialize)]
struct Reason {
    code: String,
    message: String,
}

#[derive(Debug, Serialize)]
struct WebhookView {
    state: String,
    attempts: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
}

/// An answer.
#[derive(Debug, Serialize)]
pub(super) struct AnswerView {
    status: u16,
    headers: BTreeMap<String, String>,
    /// JSON where it is, and text where it is not.
    body: Value,
}

impl From<Kept> for AnswerView {
    fn from(kept: Kept) -> Self {
        let body = serde_json::from_str(&kept.body).unwrap_or(Value::String(kept.body));
        Self { status: kept.status, headers: kept.headers, body }
    }
}

impl ItemView {
    /// An item, with its place in the line and its answer where those are known.
    pub(super) fn new(
        row: QueueItemRow,
        position: Option<i64>,
        answer: Option<AnswerView>,
    ) -> Self {
        let is_queued = row.state == "queued";
        let is_told = !row.webhook_state.is_empty();
        let reason = Reason { code: row.reason, message: row.error };
        let webhook = WebhookView {
            state: row.webhook_state,
            attempts: row.webhook_attempts,
            error: row.webhook_error,
        };
        Self {
            object: "queue.item",
            position,
            answer,
            is_cancelling: row.cancelled_at.is_some() && row.ended_at.is_none(),
            created_at: moment(row.created_at),
            deadline: moment(row.deadline_at),
            next_at: is_queued.then(|| moment(row.next_at)),
            started_at: row.started_at.map(moment),
            ended_at: row.ended_at.map(moment),
            reason: Some(reason).filter(|it| !it.code.is_empty()),
            webhook: Some(webhook).filter(|_| is_told),
            id: row.id,
            state: row.state,
            path: row.path,
            model: row.model,
            endpoint: row.endpoint,
            key: row.key_name,
            priority: row.priority,
            on_budget: row.on_budget,
            attempts: row.attempts,
            failures: row.failures,
            on_batch: row.batch,
            batch_id: row.batch_id,
            request_id: row.request_id,
        }
    }
}

/// RFC 3339.
pub(super) fn moment(at: Timestamp) -> String {
    let moment = DateTime::from_timestamp_millis(at.0).unwrap_or_default();
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

//! Tells who wants it that an item has ended: a signed call, tried until it arrives or was tried too often. It says
//! how the item ended and where its answer is, and not the answer.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::verdict::pause;
use super::view::{Target, moment};
use super::{Queue, purpose};
use crate::metrics;
use crate::model::Milliseconds;
use crate::secrets::signature;
use crate::store::StoreError;
use crate::store::spend::requests::queue::WebhookRow;

/// Ends that are told together.
const BATCH: u32 = 20;
/// How often one is tried: over about an hour with the usual pauses.
const TRIES: i64 = 10;
/// How long one is taken for; after it another process may try.
const CLAIM: Milliseconds = Milliseconds::from_seconds(60);
/// Letters of an answer that are kept with an error.
const REASON_LETTERS: usize = 200;

/// Why a try did not arrive.
enum Undelivered {
    Later(String),
    Never(String),
}

/// Tells of ends until `stop`.
pub(super) async fn serve(queue: &Arc<Queue>, stop: &CancellationToken) {
    let mut ended = queue.ended.subscribe();
    while !stop.is_cancelled() {
        match stop.run_until_cancelled(send_due(queue)).await {
            Some(Ok(true)) => continue,
            Some(Ok(false)) | None => {}
            Some(Err(error)) => tracing::warn!(%error, "webhooks of the queue could not be sent"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            _ = ended.changed() => {}
            () = tokio::time::sleep(Duration::from(queue.settings.look_ms)) => {}
        }
    }
}

/// Sends what is due; true when there may be more.
async fn send_due(queue: &Queue) -> Result<bool, StoreError> {
    let rows = queue.store().list_queue_webhooks(queue.clock.now(), BATCH).await?;
    let is_full = rows.len() == BATCH as usize;
    for row in rows {
        let until = queue.clock.now().plus(CLAIM);
        if queue.store().claim_queue_webhook(&row, until).await? {
            send_one(queue, &row).await?;
        }
    }
    Ok(is_full)
}

async fn send_one(queue: &Queue, row: &WebhookRow) -> Result<(), StoreError> {
    let tries = row.webhook_attempts.saturating_add(1);
    let now = queue.clock.now();
    let (state, error, next_at) = match deliver(queue, row).await {
        Ok(()) => ("sent", String::new(), now),
        Err(Undelivered::Never(error)) => ("failed", error, now),
        Err(Undelivered::Later(error)) if tries >= TRIES => ("failed", error, now),
        Err(Undelivered::Later(error)) => {
            let number = u32::try_from(tries).unwrap_or(u32::MAX);
            ("waiting", error, now.plus(pause(queue.settings.retry_ms, number)))
        }
    };
    metrics::queue_webhook(if state == "waiting" { "later" } else { state });
    queue.store().save_queue_webhook(&row.id, (state, &error), next_at).await
}

async fn deliver(queue: &Queue, row: &WebhookRow) -> Result<(), Undelivered> {
    let opened = queue.parts.sealer.open(&purpose(&row.id, "webhook"), &row.webhook).await;
    let opened = opened.map_err(|it| Undelivered::Later(it.to_string()))?;
    let target: Target =
        serde_json::from_str(&opened).map_err(|it| Undelivered::Never(it.to_string()))?;
    let body = message(row).to_string();
    let signed = signature::sign(&row.id, queue.clock.now(), &body, &[target.secret]);
    let outgoing = &queue.parts.outgoing;
    let request = outgoing.request(reqwest::Method::POST, &target.url);
    let request = request.map_err(|it| Undelivered::Later(it.to_string()))?;
    let request = request
        .header("content-type", "application/json")
        .header("webhook-id", signed.id)
        .header("webhook-timestamp", signed.timestamp)
        .header("webhook-signature", signed.signature)
        .body(body);
    let answer = outgoing.send(request).await.map_err(|it| Undelivered::Later(it.to_string()))?;
    if answer.status.is_success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&answer.body);
    let said: String = said.trim().chars().take(REASON_LETTERS).collect();
    let reason = format!("the receiver answers {}: {said}", answer.status);
    let is_gone = answer.status == StatusCode::GONE;
    Err(if is_gone { Undelivered::Never(reason) } else { Undelivered::Later(reason) })
}

/// As Standard Webhooks has it: `type`, `timestamp` and `data`.
fn message(row: &WebhookRow) -> Value {
    let reason = json!({"code": row.reason, "message": row.error});
    json!({
        "type": format!("queue.item.{}", row.state),
        "timestamp": moment(row.ended_at),
        "data": {
            "id": row.id,
            "state": row.state,
            "path": row.path,
            "model": row.model,
            "attempts": row.attempts,
            "reason": if row.reason.is_empty() { Value::Null } else { reason },
            "item": format!("/v1/queue/{}", row.id),
        },
    })
}

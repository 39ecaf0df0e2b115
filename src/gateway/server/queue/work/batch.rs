//! Items that are handed to a provider together, by its own batch interface, at its price for that. Every step is written
//! down before it is taken, so that whoever takes over a batch of a dead process knows what may have happened: a batch that
//! may be there already is looked for, and not handed over twice.

pub(in crate::gateway::server::queue) mod wire;
mod gather;
mod remote;
mod terms;
mod submit;
mod look;
mod answers;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::attempt::{Outcome, cancelled, write};
use crate::gateway::ledger::Ledger;
use crate::gateway::server::Core;
use crate::gateway::server::queue::Queue;
use crate::model::{Milliseconds, Timestamp};
use crate::store::StoreError;
use crate::store::spend::requests::queue::{EndedItem, Postponed, QueueBatchRow, QueueItemRow};
use terms::Terms;

/// Why an item leaves a batch without an answer.
const REASON: &str = "batch";
/// Why a batch cannot be asked for.
const NO_KEY: &str = "its provider or key is no longer in the gateway's file";

/// Gathers items and looks after batches until `stop`. What is under way then goes on elsewhere, or at the next start.
pub(in crate::gateway::server::queue) async fn serve(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    stop: &CancellationToken,
) {
    while !stop.is_cancelled() {
        if let Err(error) = round(core, queue, stop).await {
            tracing::warn!(%error, "batches of the queue cannot be read or written");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from(queue.settings.look_ms)) => {}
        }
    }
}

async fn round(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    gather::gather(core, queue).await?;
    queue.store().hurry_queue_batches(queue.clock.now()).await?;
    while !stop.is_cancelled() {
        let now = queue.clock.now();
        let until = now.plus(queue.settings.lease_ms);
        let Some(batch) = queue.store().claim_queue_batch(&queue.owner, (now, until)).await? else {
            break;
        };
        let (id, epoch) = (batch.id.clone(), batch.lease_epoch);
        let signs = async {
            loop {
                tokio::time::sleep(Duration::from(queue.settings.lease_ms) / 3).await;
                let until = queue.clock.now().plus(queue.settings.lease_ms);
                if let Err(error) = queue.store().renew_queue_batch((&id, epoch), until).await {
                    tracing::warn!(%error, "a batch is given no sign of life");
                }
            }
        };
        let done = tokio::select! {
            done = Box::pin(advance(core, queue, batch)) => done,
            () = signs => Ok(()),
            () = stop.cancelled() => Ok(()),
        };
        // Others may look after it at once.
        queue.store().renew_queue_batch((&id, epoch), Timestamp(0)).await?;
        done?;
    }
    Ok(())
}

/// The next step of a batch.
async fn advance(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    batch: QueueBatchRow,
) -> Result<(), StoreError> {
    match batch.state.as_str() {
        "gathered" | "submitting" => submit::submit(core, queue, batch).await,
        _ => look::look(core, queue, batch).await,
    }
}

/// A batch that is looked at again after a while; false when it is another's by now.
async fn later(
    queue: &Queue,
    batch: QueueBatchRow,
    (why, after): (&str, Milliseconds),
) -> Result<bool, StoreError> {
    let next_at = queue.clock.now().plus(after);
    let error = why.chars().take(500).collect();
    let failures = batch.failures.saturating_add(1);
    queue.store().save_queue_batch(&QueueBatchRow { error, failures, next_at, ..batch }).await
}

/// A batch that may be with its provider cannot be asked for: its answers may be paid for, so that its key is waited for,
/// for as long as money is held.
async fn wait_for_key(
    core: &Arc<Core>,
    queue: &Queue,
    batch: QueueBatchRow,
) -> Result<(), StoreError> {
    if queue.clock.now().since(batch.created_at) >= look::GIVEN_UP {
        return lost(core, queue, batch, NO_KEY).await;
    }
    if batch.error != NO_KEY {
        let (id, provider) = (&batch.id, &batch.provider);
        tracing::error!(batch = id, provider, "{NO_KEY}: a batch that it may have waits for it");
    }
    let after = queue.settings.budget_ms;
    later(queue, batch, (NO_KEY, after)).await.map(drop)
}

/// The end of a batch that its provider may have answered, or may yet.
async fn lost(
    core: &Arc<Core>,
    queue: &Queue,
    batch: QueueBatchRow,
    why: &str,
) -> Result<(), StoreError> {
    let (id, provider, remote) = (&batch.id, &batch.provider, &batch.remote);
    tracing::error!(batch = id, provider, remote, why, "a batch may be paid for without answers");
    end(core, queue, batch, why).await
}

/// The end of a batch. Items that are still in it leave it without an answer.
async fn end(
    core: &Arc<Core>,
    queue: &Queue,
    batch: QueueBatchRow,
    why: &str,
) -> Result<(), StoreError> {
    for item in queue.store().list_queue_items_of_batch(&batch.id).await? {
        give_back(core, queue, (&item, why)).await?;
    }
    let now = queue.clock.now();
    let state = "ended".to_owned();
    let error = why.chars().take(500).collect();
    let ended = QueueBatchRow { state, error, next_at: now, ended_at: Some(now), ..batch };
    queue.store().save_queue_batch(&ended).await?;
    queue.tell_ended();
    Ok(())
}

/// An item that its batch has no answer for: it costs nothing, and is called, or has failed, as its submitter wants it.
async fn give_back(
    core: &Arc<Core>,
    queue: &Queue,
    (item, why): (&QueueItemRow, &str),
) -> Result<(), StoreError> {
    release(core, item).await?;
    let now = queue.clock.now();
    let outcome = if item.cancelled_at.is_some() {
        cancelled(queue, item, item.request_id.clone())
    } else if item.batch == "live" {
        Outcome::Postponed(Postponed {
            next_at: now,
            failures: item.failures,
            waits: item.waits,
            reason: REASON.to_owned(),
            error: why.to_owned(),
            request_id: item.request_id.clone(),
            is_live: true,
        })
    } else {
        let ended = EndedItem {
            state: "failed".to_owned(),
            reason: REASON.to_owned(),
            error: why.to_owned(),
            failures: item.failures.saturating_add(1),
            request_id: item.request_id.clone(),
            at: now,
            ..EndedItem::default()
        };
        Outcome::Ended(ended, None)
    };
    write(queue, item, outcome).await;
    queue.tell_ended();
    Ok(())
}

/// Lets the money go that is held for an item.
async fn release(core: &Core, item: &QueueItemRow) -> Result<(), StoreError> {
    let Some(terms) = Terms::read(item) else { return Ok(()) };
    let name = Ledger::held_name(&item.id, item.lease_epoch);
    core.ledger.release_held(&name, &terms.call).await
}

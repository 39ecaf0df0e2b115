//! Hands a batch over: each item is looked at as a call is, its money is set aside, and then all go out together.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::look::GIVEN_UP;
use super::remote::{Side, Trouble, order};
use super::terms::Terms;
use super::wire::{Remote, input, request};
use super::{NO_KEY, end, gather, later, lost, wait_for_key};
use crate::gateway::budget::account::Amount;
use crate::gateway::budget::{CallId, Reservation};
use crate::gateway::call::headers::{request_id, tags};
use crate::gateway::ledger::{Ledger, NotReserved};
use crate::gateway::server::Core;
use crate::gateway::server::queue::verdict::pause;
use crate::gateway::server::queue::work::attempt::{self, Outcome};
use crate::gateway::server::queue::{Queue, Running};
use crate::gateway::server::usage;
use crate::model::{Milliseconds, UsdNanos};
use crate::provider::refusal::{Refusal, STORE};
use crate::provider::{Dialect, Operation};
use crate::store::StoreError;
use crate::store::spend::requests::queue::{QueueBatchRow, QueueItemRow};

/// When the ledger is asked again that does not answer.
const AGAIN: Milliseconds = Milliseconds(1_000);
/// For so many leases a provider may take to show a batch that it has taken: only then it is handed over again.
const SHOWN_AFTER_LEASES: u64 = 2;

/// Hands a batch over, unless it is already.
pub(super) async fn submit(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    batch: QueueBatchRow,
) -> Result<(), StoreError> {
    let is_perhaps_there = batch.state == "submitting";
    let Some(side) = Side::of(core, &batch) else {
        if is_perhaps_there {
            return wait_for_key(core, queue, batch).await;
        }
        return end(core, queue, batch, NO_KEY).await;
    };
    let batch = if is_perhaps_there {
        let Some(batch) = missing(core, queue, (&side, batch)).await? else { return Ok(()) };
        batch
    } else {
        batch
    };
    let Some(operation) = Operation::of_path(&batch.path) else {
        return end(core, queue, batch, "its path is not known").await;
    };
    let mut requests = Vec::new();
    for item in queue.store().list_queue_items_of_batch(&batch.id).await? {
        if let Some(body) = Box::pin(ready(core, queue, (&batch, &item))).await? {
            requests.push(request(operation, &custom_id(&item), &body));
        }
    }
    if requests.is_empty() {
        return end(core, queue, batch, "").await;
    }
    let sent = i64::try_from(requests.len()).unwrap_or(i64::MAX);
    let mut batch = QueueBatchRow { sent, ..batch };
    let mut input = input(side.dialect, &requests);
    if side.dialect == Dialect::OpenAi {
        match side.upload(&batch.id, &input).await {
            Ok(file) => batch.file = file,
            Err(trouble) => return not_uploaded(core, queue, batch, &trouble).await,
        }
        input.clear();
    }
    // What is held is written down before the provider has anything.
    core.ledger.until_written().await;
    hand_over(queue, &side, (batch, operation), input).await
}

/// Somebody was about to hand it over, so that it may be there: it is looked for, and adopted. It is given back only
/// when it is certain that the provider has not got it, and may be handed over again.
async fn missing(
    core: &Arc<Core>,
    queue: &Queue,
    (side, batch): (&Side<'_>, QueueBatchRow),
) -> Result<Option<QueueBatchRow>, StoreError> {
    let now = queue.clock.now();
    let known = queue.store().list_known_remotes((&batch.provider, &batch.id)).await?;
    match side.search(&batch, &known).await {
        Ok(Some(remote)) => {
            let is_guessed = remote.name != batch.id;
            adopt(queue, QueueBatchRow { is_guessed, ..batch }, remote).await?;
            return Ok(None);
        }
        Ok(None) => {}
        Err(_) if now.since(batch.created_at) >= GIVEN_UP => {
            let why = "the provider does not say whether it has it";
            lost(core, queue, batch, why).await?;
            return Ok(None);
        }
        Err(trouble) => {
            again(queue, batch, &trouble).await?;
            return Ok(None);
        }
    }
    if batch.failures >= i64::from(queue.settings.tries) {
        let why = batch.error.clone();
        end(core, queue, batch, &why).await?;
        return Ok(None);
    }
    let after = shown_after(queue);
    let shown_at = batch.submitted_at.unwrap_or(batch.created_at).plus(after);
    if now >= shown_at {
        return Ok(Some(batch));
    }
    queue.store().save_queue_batch(&QueueBatchRow { next_at: shown_at, ..batch }).await?;
    Ok(None)
}

fn shown_after(queue: &Queue) -> Milliseconds {
    Milliseconds(queue.settings.lease_ms.0.saturating_mul(SHOWN_AFTER_LEASES))
}

async fn hand_over(
    queue: &Queue,
    side: &Side<'_>,
    (mut batch, operation): (QueueBatchRow, Operation),
    input: String,
) -> Result<(), StoreError> {
    // From here on it may be there.
    "submitting".clone_into(&mut batch.state);
    batch.submitted_at = Some(queue.clock.now());
    let until = queue.clock.now().plus(queue.settings.lease_ms);
    let intent = QueueBatchRow { lease_until: until, ..batch.clone() };
    if !queue.store().save_queue_batch(&intent).await? {
        // Another process looks after it.
        return Ok(());
    }
    let batch = intent;
    match side.create(order(operation, &batch, input)).await {
        Ok(remote) => adopt(queue, batch, remote).await,
        Err(trouble) => again(queue, batch, &trouble).await,
    }
}

/// It is with the provider.
async fn adopt(queue: &Queue, batch: QueueBatchRow, remote: Remote) -> Result<(), StoreError> {
    let running = QueueBatchRow {
        state: "running".to_owned(),
        remote: remote.id,
        outcome: remote.word,
        next_at: queue.clock.now().plus(queue.settings.batch_poll_ms),
        error: String::new(),
        failures: 0,
        ..batch
    };
    queue.store().save_queue_batch(&running).await.map(drop)
}

/// Its requests did not even arrive: nothing was handed over this time.
async fn not_uploaded(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    batch: QueueBatchRow,
    trouble: &Trouble,
) -> Result<(), StoreError> {
    let is_last = batch.failures.saturating_add(1) >= i64::from(queue.settings.tries);
    if is_last || !matches!(trouble, Trouble::Later(_)) {
        return end(core, queue, batch, &trouble.message()).await;
    }
    again(queue, batch, trouble).await
}

/// It is tried again, or, when that would not help, the next look gives its items back.
async fn again(queue: &Queue, batch: QueueBatchRow, trouble: &Trouble) -> Result<(), StoreError> {
    let failures = match trouble {
        Trouble::Later(_) => batch.failures,
        Trouble::Never(_) | Trouble::Gone => i64::from(queue.settings.tries),
    };
    let number = u32::try_from(failures).unwrap_or(u32::MAX).saturating_add(1);
    let after = match trouble {
        // It may have taken it all the same.
        Trouble::Later(_) if batch.state == "submitting" => {
            pause(queue.settings.retry_ms, number).max(shown_after(queue))
        }
        Trouble::Later(_) => pause(queue.settings.retry_ms, number),
        Trouble::Never(_) | Trouble::Gone => Milliseconds(0),
    };
    let batch = QueueBatchRow { failures, ..batch };
    later(queue, batch, (&trouble.message(), after)).await.map(drop)
}

/// Names an item's try in its batch.
pub(super) fn custom_id(item: &QueueItemRow) -> String {
    format!("{}-{}", item.id, item.lease_epoch)
}

/// The body of an item that may go out; none of one that may not, which has left the batch then.
async fn ready(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    (batch, item): (&QueueBatchRow, &QueueItemRow),
) -> Result<Option<String>, StoreError> {
    if item.cancelled_at.is_some() {
        super::give_back(core, queue, (item, "")).await?;
        return Ok(None);
    }
    let refusal = match let_through(core, queue, (batch, item)).await {
        Ok((body, terms)) => match held(core, queue, (item, &terms)).await? {
            Ok(is_held) => return Ok(is_held.then_some(body)),
            Err(refusal) => refusal,
        },
        Err(refusal) => refusal,
    };
    super::release(core, item).await?;
    let outcome: Outcome = attempt::outcome_of_refusal(queue, item, &refusal);
    attempt::write(queue, item, outcome).await;
    queue.tell_ended();
    Ok(None)
}

/// Sets the money of an item aside; false when it is no longer in the batch. Its terms are written down first, so that
/// whoever takes over knows what may be held.
async fn held(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    (item, terms): (&QueueItemRow, &Terms),
) -> Result<Result<bool, Refusal>, StoreError> {
    let text = serde_json::to_string(terms).unwrap_or_default();
    let request = request_id(terms.call.id.request);
    let place = (item.id.as_str(), item.lease_epoch);
    if !queue.store().save_queue_item_terms(place, (&text, &request)).await? {
        return Ok(Ok(false));
    }
    let name = Ledger::held_name(&item.id, item.lease_epoch);
    let held = core.ledger.hold(&name, &terms.call, terms.held_at).await;
    if held.is_err() {
        core.ledger.release_held(&name, &terms.call).await?;
    }
    Ok(held.map(|()| true).map_err(|it| match it {
        NotReserved::Refused(it) => {
            Refusal::Budget { budget: it.budget.clone(), message: it.to_string() }
        }
        NotReserved::Behind => Refusal::Away { what: STORE, retry_after: AGAIN },
    }))
}

/// What goes out for an item, and on which terms.
async fn let_through(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    (batch, item): (&QueueBatchRow, &QueueItemRow),
) -> Result<(String, Terms), Refusal> {
    let number = usage::number(&item.id, &item.lease_epoch.to_string());
    let stop = CancellationToken::new();
    let running = Running { epoch: item.lease_epoch, stop, why: Arc::default() };
    let mut call = attempt::call(core, queue, (item, &running), number).await?;
    call.trail.forget();
    call.guard_request().await?;
    let provider = core.providers.iter().find(|it| it.name == batch.provider);
    let provider = provider.ok_or_else(|| Refusal::Upstream("no such provider".to_owned()))?;
    let batched = call.batched(provider, &batch.model)?;
    let now = core.clock.now();
    let terms = Terms {
        call: Reservation {
            id: CallId { request: number, attempt: 1 },
            subject: batched.subject,
            estimate: batched.estimate,
            deadline: now.plus(gather::HELD_FOR),
            requests: u64::from(!call.operation.is_free()),
        },
        held_at: now,
        key: call.key.clone(),
        price_provider: provider.price_provider.to_string(),
        model: batch.model.clone(),
        input_tokens: call.asked.input_tokens,
        tags: tags(&call.headers),
        traceparent: call
            .headers
            .get("traceparent")
            .and_then(|it| it.to_str().ok())
            .unwrap_or_default()
            .to_owned(),
        flags: batched.flags.iter().map(|it| (*it).to_owned()).collect(),
    };
    // One that a dead process has held is held.
    let terms = Terms::read(item).filter(|it| it.call.id == terms.call.id).unwrap_or(terms);
    let body = String::from_utf8(batched.body.to_vec());
    let body = body.map_err(|it| Refusal::Unreadable(it.to_string()))?;
    Ok((body, terms))
}

/// Nothing.
pub(super) const NOTHING: Amount = Amount { money: UsdNanos(0), tokens: 0 };

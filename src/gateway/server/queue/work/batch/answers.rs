//! One answer of a batch: charged at the price of batches, held against the rules, and written into its item.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::submit::NOTHING;
use super::terms::Terms;
use super::wire::End;
use super::{give_back, release};
use crate::gateway::budget::account::Amount;
use crate::gateway::call::headers::request_id;
use crate::gateway::call::money::BATCH;
use crate::gateway::ledger::trail::{Facts, Trail};
use crate::gateway::ledger::{Ledger, Origin, Row, What};
use crate::gateway::prices::PriceRow;
use crate::gateway::server::Core;
use crate::gateway::server::queue::verdict;
use crate::gateway::server::queue::view::Kept;
use crate::gateway::server::queue::work::attempt::{self, Outcome, cancelled, write};
use crate::gateway::server::queue::{Queue, Running};
use crate::gateway::settings::UnknownPrice;
use crate::gateway::settlement::Charge;
use crate::model::{TraceParent, Usage, UsageClass, UsdNanos};
use crate::provider::estimate::tokenizer::{Tokenizer, prompt};
use crate::provider::refusal::Refusal;
use crate::provider::{Lacks, Metered, Operation, estimate, lacks, read_answer, said};
use crate::store::StoreError;
use crate::store::spend::requests::queue::{EndedItem, QueueBatchRow, QueueItemRow};

/// Letters of an error that are kept.
const ERROR_LETTERS: usize = 500;

/// Takes what came of an item; false when that cannot be done now.
pub(super) async fn take(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    (batch, item): (&QueueBatchRow, &QueueItemRow),
    end: End,
) -> Result<bool, StoreError> {
    match end {
        End::Answer(200..=299, body) => return answered(core, queue, (batch, item), body).await,
        // It may do better elsewhere.
        End::Answer(status @ (408 | 409 | 429 | 500..), _) => {
            let why = format!("the provider answers {status} in its batch");
            give_back(core, queue, (item, &why)).await?;
        }
        End::Answer(status, body) => refused(core, queue, item, (status, body)).await?,
        End::NotMade(why) => {
            let why = format!("its batch has ended without an answer for it ({why})");
            give_back(core, queue, (item, &why)).await?;
        }
        End::TooLong => return unread(core, queue, (batch, item)).await,
    }
    Ok(true)
}

/// The provider says no, which costs nothing.
async fn refused(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    item: &QueueItemRow,
    (status, body): (u16, String),
) -> Result<(), StoreError> {
    release(core, item).await?;
    let message = attempt::said(&body);
    let message = message.unwrap_or_else(|| format!("the provider answers {status}"));
    let ended = EndedItem {
        state: "failed".to_owned(),
        reason: "refused".to_owned(),
        error: message.chars().take(ERROR_LETTERS).collect(),
        failures: item.failures.saturating_add(1),
        request_id: item.request_id.clone(),
        at: queue.clock.now(),
        ..EndedItem::default()
    };
    let kept = Kept { status, headers: headers(item, None), body };
    let outcome = if item.cancelled_at.is_some() {
        cancelled(queue, item, item.request_id.clone())
    } else {
        Outcome::Ended(ended, Some(kept))
    };
    write(queue, item, outcome).await;
    queue.tell_ended();
    Ok(())
}

/// An answer that is too long to be read. It is paid for, and what it has used is not known: at the most that was held.
async fn unread(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    (batch, item): (&QueueBatchRow, &QueueItemRow),
) -> Result<bool, StoreError> {
    let Some((terms, operation)) = Terms::read(item).zip(Operation::of_path(&item.path)) else {
        give_back(core, queue, (item, "nothing is known of its terms")).await?;
        return Ok(true);
    };
    let mut row = row(core, (batch, item), (&terms, operation));
    row.flags.push("estimated");
    row.usage =
        Usage::default().with(UsageClass::Input, terms.input_tokens).with(UsageClass::Requests, 1);
    let outcome = if item.cancelled_at.is_some() {
        cancelled(queue, item, item.request_id.clone())
    } else {
        too_large(queue, item)
    };
    let cost = terms.call.estimate;
    settle(core, queue, (item, &terms), (cost, row, outcome)).await?;
    Ok(true)
}

async fn answered(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    (batch, item): (&QueueBatchRow, &QueueItemRow),
    body: String,
) -> Result<bool, StoreError> {
    let Some((terms, operation)) = Terms::read(item).zip(Operation::of_path(&item.path)) else {
        give_back(core, queue, (item, "nothing is known of its terms")).await?;
        return Ok(true);
    };
    let body = Bytes::from(body);
    let mut row = row(core, (batch, item), (&terms, operation));
    let (cost, tokens) = charge(core, &terms, (&body, operation), &mut row);
    let (screened, flags) = screened(core, queue, item, &body).await;
    if let Err(Refusal::Upstream(_) | Refusal::Unavailable { .. } | Refusal::Away { .. }) = screened
    {
        // Its request cannot be read, or its key not be looked up: it is taken later.
        return Ok(false);
    }
    for flag in flags {
        if !row.flags.contains(&flag) {
            row.flags.push(flag);
        }
    }
    let outcome = outcome(queue, item, (screened, cost));
    let cost = Amount { money: cost, tokens };
    settle(core, queue, (item, &terms), (cost, row, outcome)).await?;
    Ok(true)
}

/// Charges an item, and ends it.
async fn settle(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    (item, terms): (&QueueItemRow, &Terms),
    (cost, mut row, outcome): (Amount, Row, Outcome),
) -> Result<(), StoreError> {
    let name = Ledger::held_name(&item.id, item.lease_epoch);
    row.cost = cost.money;
    core.ledger.settle_held((&name, &terms.call), cost, (&mut row, terms.held_at)).await?;
    write(queue, item, outcome).await;
    trace(core, (item, terms), &row);
    queue.tell_ended();
    core.ledger.forget_held(&name).await
}

fn ended(queue: &Queue, item: &QueueItemRow, state: &str) -> EndedItem {
    EndedItem {
        state: state.to_owned(),
        failures: item.failures,
        request_id: item.request_id.clone(),
        at: queue.clock.now(),
        ..EndedItem::default()
    }
}

fn too_large(queue: &Queue, item: &QueueItemRow) -> Outcome {
    let error = verdict::too_large(&queue.settings);
    let reason = verdict::TOO_LARGE.to_owned();
    Outcome::Ended(EndedItem { reason, error, ..ended(queue, item, "failed") }, None)
}

fn outcome(
    queue: &Queue,
    item: &QueueItemRow,
    (screened, cost): (Result<Bytes, Refusal>, UsdNanos),
) -> Outcome {
    if item.cancelled_at.is_some() {
        // It is charged, and nobody wants it.
        return cancelled(queue, item, item.request_id.clone());
    }
    let ended = |state: &str| ended(queue, item, state);
    match screened {
        Ok(body) if body.len() as u64 > queue.settings.answer_bytes => too_large(queue, item),
        Ok(body) => {
            let body = String::from_utf8_lossy(&body).into_owned();
            let kept = Kept { status: 200, headers: headers(item, Some(cost)), body };
            Outcome::Ended(ended("done"), Some(kept))
        }
        Err(refusal) => {
            let is_rule = matches!(refusal, Refusal::Guardrail { .. });
            let reason = if is_rule { "guardrail" } else { "refused" }.to_owned();
            let error = refusal.message();
            Outcome::Ended(EndedItem { reason, error, ..ended("failed") }, None)
        }
    }
}

fn headers(item: &QueueItemRow, cost: Option<UsdNanos>) -> BTreeMap<String, String> {
    let usd = |it: UsdNanos| it.to_string().trim_end_matches(" USD").to_owned();
    let mut headers = BTreeMap::from([
        ("content-type".to_owned(), "application/json".to_owned()),
        ("x-trunkline-model".to_owned(), item.model.clone()),
        ("x-trunkline-origin".to_owned(), "live".to_owned()),
        ("x-trunkline-flags".to_owned(), BATCH.to_owned()),
    ]);
    if let Some(cost) = cost {
        headers.insert("x-trunkline-cost-usd".to_owned(), usd(cost));
    }
    headers
}

/// The answer as its submitter may have it, and what was found.
async fn screened(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    item: &QueueItemRow,
    body: &Bytes,
) -> (Result<Bytes, Refusal>, Vec<&'static str>) {
    let stop = CancellationToken::new();
    let running = Running { epoch: item.lease_epoch, stop, why: Arc::default() };
    let id = core.new_id();
    let mut call = match attempt::call(core, queue, (item, &running), id).await {
        Ok(call) => call,
        // Without its key nobody knows which rules hold; so it is not given out.
        Err(refusal) => return (Err(refusal), Vec::new()),
    };
    call.trail.forget();
    if let Err(refusal) = call.guard_request().await {
        return (Err(refusal), Vec::new());
    }
    let mut flags = Vec::new();
    let screened = call.screened_later(body, &mut flags);
    (screened, flags)
}

fn row(
    core: &Core,
    (batch, item): (&QueueBatchRow, &QueueItemRow),
    (terms, operation): (&Terms, Operation),
) -> Row {
    let now = core.clock.now();
    let mut flags = vec![BATCH];
    if terms.flags.iter().any(|it| it == "assumed_price") {
        flags.push("assumed_price");
    }
    Row {
        request: request_id(terms.call.id.request),
        attempt: terms.call.id.attempt,
        at: terms.held_at,
        key: terms.key.clone(),
        subject: terms.call.subject.clone(),
        operation: What::Call(operation),
        provider: batch.provider.clone(),
        model: item.model.clone(),
        answered_by: None,
        origin: Origin::Live,
        status: Some(200),
        usage: Usage::default(),
        cost: NOTHING.money,
        avoided: UsdNanos(0),
        reserved: terms.call.estimate.money,
        overrun: UsdNanos(0),
        price: None,
        flags,
        first_token_ms: None,
        total_ms: now.since(terms.held_at).0,
        similar: None,
        tags: terms.tags.clone(),
        notes: None,
        trail: Trail::default(),
    }
}

/// What it costs, and its tokens: at the price of batches of the day on which it was let through.
fn charge(
    core: &Core,
    terms: &Terms,
    (body, operation): (&Bytes, Operation),
    row: &mut Row,
) -> (UsdNanos, i64) {
    let told = read_answer(operation, body);
    let nothing = Lacks { input: true, output: operation.has_output() };
    let lacks = told.as_ref().map_or(nothing, |it| lacks(operation, it, body));
    let untold = || Metered::default().named(&said::named::of_answer(operation, body));
    let mut metered = told.unwrap_or_else(untold);
    if lacks.any() {
        row.flags.extend(["estimated", Tokenizer::Rule.flag()]);
        let said = prompt::of_answer(Tokenizer::Rule, body);
        let said = said.unwrap_or_else(|| estimate::of_values(body));
        metered = metered.with(lacks, terms.input_tokens, said);
    }
    let metered = Metered { service_tier: Some(BATCH.to_owned()), ..metered };
    row.usage = metered.usage;
    row.answered_by = metered.model.as_deref().map(said::short);
    let price_provider: Arc<str> = terms.price_provider.as_str().into();
    let price = if operation.is_free() { None } else { price_of(core, terms, operation) };
    let (ledger, prices) = (core.ledger.clone(), core.prices.clone());
    let is_unpriced = price.is_none() && !operation.is_free();
    let charge = Charge { ledger, prices, price, price_provider };
    let cost = if is_unpriced {
        // The price is gone since; what was agreed holds.
        row.flags.push("unpriced");
        terms.call.estimate.money
    } else {
        charge.cost(row, &metered)
    };
    let tokens = if operation.is_free() { 0 } else { metered.usage.tokens() };
    (cost, i64::try_from(tokens).unwrap_or(i64::MAX))
}

/// The price that an item was let through with.
fn price_of(core: &Core, terms: &Terms, operation: Operation) -> Option<Arc<PriceRow>> {
    let known = core.prices.find(&terms.price_provider, &terms.model, terms.held_at);
    let known = known.filter(|it| !operation.has_output() || it.covers_output());
    known.or_else(|| match &core.unknown_price {
        UnknownPrice::Assume(rates) => {
            Some(Arc::new(PriceRow::assumed(&terms.price_provider, rates.clone())))
        }
        UnknownPrice::Refuse => None,
    })
}

fn trace(core: &Core, (item, terms): (&QueueItemRow, &Terms), row: &Row) {
    let facts = Facts {
        id: terms.call.id.request,
        at: terms.held_at,
        parent: TraceParent::parse(&terms.traceparent),
        key: terms.key.clone(),
        subject: terms.call.subject.clone(),
        operation: row.operation,
        model: item.model.clone(),
    };
    Trail::report(&core.trails, facts, row);
}

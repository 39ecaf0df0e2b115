//! Which items go together: those of one provider, path and model, once enough of them wait or the first has waited for
//! long enough. The batch is written down with them, and nothing has left yet.

use std::collections::BTreeMap;

use super::wire;
use crate::gateway::keys::{digest, hex};
use crate::gateway::route;
use crate::gateway::server::queue::Queue;
use crate::gateway::server::{Core, Provider};
use crate::model::{Milliseconds, Timestamp};
use crate::provider::{Dialect, Operation};
use crate::secrets::new_id;
use crate::store::StoreError;
use crate::store::spend::requests::queue::{BatchableItem, QueueBatchRow};

/// Items that are looked at together.
const LOOKED_AT: u32 = 10_000;
/// How long an item may be in a batch: longer than any provider takes.
pub(super) const HELD_FOR: Milliseconds = Milliseconds::from_seconds(8 * 24 * 3600);

/// What goes together: the provider's place, the path, and its name of the model.
type Group = (usize, String, String);

/// Makes batches of what waits.
pub(super) async fn gather(core: &Core, queue: &Queue) -> Result<(), StoreError> {
    let now = queue.clock.now();
    let mut groups: BTreeMap<Group, Vec<BatchableItem>> = BTreeMap::new();
    for item in queue.store().list_batchable_queue_items(now, LOOKED_AT).await? {
        match group(core, &item) {
            Some(group) => groups.entry(group).or_default().push(item),
            // The file has changed since it was submitted.
            None => drop(queue.store().unbatch_queue_item(&item).await?),
        }
    }
    for ((place, path, model), items) in groups {
        let Some(provider) = core.providers.get(place) else { continue };
        let Some(dialect) = core.known.get(place).map(|it| it.dialect) else { continue };
        for items in parts(queue, dialect, items) {
            if !is_due(queue, dialect, (&items, now)) {
                continue;
            }
            let batch = QueueBatchRow {
                id: new_id(now),
                provider: provider.name.clone(),
                key_digest: key_digest(provider, core.next_turn()),
                path: path.clone(),
                model: model.clone(),
                created_at: now,
                ..QueueBatchRow::default()
            };
            queue.store().begin_queue_batch(&batch, &items, now.plus(HELD_FOR)).await?;
        }
    }
    Ok(())
}

fn group(core: &Core, item: &BatchableItem) -> Option<Group> {
    let dialect = Operation::of_path(&item.path)?.dialect();
    let steps = route::steps(&core.routes, &core.known, &item.model, dialect, 0);
    let step = steps.into_iter().find(|it| it.batch)?;
    let model = step.model.unwrap_or(&item.model).to_owned();
    Some((step.way.provider, item.path.clone(), model))
}

/// As many as may be in one batch.
fn limits(queue: &Queue, dialect: Dialect) -> (usize, usize) {
    let settings = &queue.settings;
    let bytes = usize::try_from(settings.batch_bytes).unwrap_or(usize::MAX);
    let items = usize::try_from(settings.batch_items).unwrap_or(usize::MAX);
    (items.clamp(1, wire::requests_max(dialect)), bytes.min(wire::bytes_max(dialect)))
}

fn size(item: &BatchableItem) -> usize {
    // Each has an id and a path around it.
    usize::try_from(item.request_bytes).unwrap_or(usize::MAX).saturating_add(256)
}

fn parts(queue: &Queue, dialect: Dialect, items: Vec<BatchableItem>) -> Vec<Vec<BatchableItem>> {
    let (most, bytes) = limits(queue, dialect);
    let (mut parts, mut part, mut held) = (Vec::new(), Vec::new(), 0_usize);
    for item in items {
        let size = size(&item);
        if !part.is_empty() && (part.len() >= most || held.saturating_add(size) > bytes) {
            parts.push(std::mem::take(&mut part));
            held = 0;
        }
        held = held.saturating_add(size);
        part.push(item);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// A part is due when it is full, or when one has waited for long enough.
fn is_due(queue: &Queue, dialect: Dialect, (items, now): (&[BatchableItem], Timestamp)) -> bool {
    let (most, bytes) = limits(queue, dialect);
    let held = items.iter().map(size).fold(0, usize::saturating_add);
    let has_waited = |it: &BatchableItem| {
        now.since(it.created_at.max(it.next_at)) >= queue.settings.batch_wait_ms
    };
    items.len() >= most
        || held.saturating_mul(10) >= bytes.saturating_mul(9)
        || items.iter().any(has_waited)
}

/// A key of a provider, as batches remember it.
pub(super) fn key_digest(provider: &Provider, turn: usize) -> String {
    let key = provider.keys.get(turn % provider.keys.len().max(1)).and_then(Option::as_ref);
    let value = key.and_then(|it| it.1.to_str().ok());
    value.map(|it| hex(&digest(it)).chars().take(16).collect()).unwrap_or_default()
}

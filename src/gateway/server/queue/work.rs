//! Carries items out: takes those whose turn it is, makes their calls, and says what came of them. An item whose
//! process dies is taken by another when its lease is over; what the dead one had reserved is charged by the ledger.

mod attempt;
pub(super) mod batch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{Queue, Running, Why};
use crate::gateway::server::Core;
use crate::metrics;
use crate::model::{Milliseconds, Timestamp};
use crate::store::StoreError;
use crate::store::spend::requests::queue::QueueItemRow;

/// For how long what a team has begun counts beside what others have.
const SHARE_WINDOW_MS: i64 = 10 * 60 * 1000;
/// Between two removals of old items, and how many go at once.
const PURGE_EVERY: Milliseconds = Milliseconds::from_seconds(60);
const PURGED: u32 = 500;
/// How long batches are remembered after their end, so that none of the provider's is taken for another.
const BATCHES_KEPT_MS: i64 = 30 * 24 * 3600 * 1000;
/// Between two signs of life, as a part of the lease; between two looks for dead processes, too.
const SIGNS_IN_A_LEASE: u64 = 3;

/// Carries items out until `stop`. What is under way then is stopped, settled, and waits for another process.
pub(super) async fn serve(core: &Arc<Core>, queue: &Arc<Queue>, stop: &CancellationToken) {
    let slots = Arc::new(Semaphore::new(queue.settings.concurrency.max(1)));
    let mut rounds = Rounds { queue, signed_at: None, purged_at: None };
    while !stop.is_cancelled() {
        if let Err(error) = rounds.look(core, &slots).await {
            tracing::warn!(%error, "the queue cannot be read or written");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = queue.wake.notified() => {}
            () = tokio::time::sleep(Duration::from(queue.settings.look_ms)) => {}
        }
    }
    queue.stop.cancel();
    for running in queue.lock().values() {
        running.stop(Why::Leaving);
    }
}

struct Rounds<'a> {
    queue: &'a Arc<Queue>,
    signed_at: Option<Timestamp>,
    purged_at: Option<Timestamp>,
}

impl Rounds<'_> {
    async fn look(&mut self, core: &Arc<Core>, slots: &Arc<Semaphore>) -> Result<(), StoreError> {
        let now = self.queue.clock.now();
        self.obey().await?;
        let every = Milliseconds(self.queue.settings.lease_ms.0 / SIGNS_IN_A_LEASE);
        if self.signed_at.is_none_or(|it| now.since(it) >= every) {
            self.signed_at = Some(now);
            self.sign(now).await?;
        }
        if self.purged_at.is_none_or(|it| now.since(it) >= PURGE_EVERY) {
            self.purged_at = Some(now);
            let kept = i64::try_from(self.queue.settings.kept_ms.0).unwrap_or(i64::MAX);
            let before = Timestamp(now.0.saturating_sub(kept));
            self.queue.store().delete_queue_items(before, PURGED).await?;
            let before = Timestamp(now.0.saturating_sub(BATCHES_KEPT_MS));
            self.queue.store().delete_queue_batches(before).await?;
        }
        take(core, self.queue, slots).await
    }

    /// Stops what somebody wants to end, and what is another's by now.
    async fn obey(&self) -> Result<(), StoreError> {
        if self.queue.lock().is_empty() {
            return Ok(());
        }
        let held = self.queue.store().list_held_queue_items(&self.queue.owner).await?;
        for (id, running) in self.queue.lock().iter() {
            match held.iter().find(|it| it.id == *id && it.lease_epoch == running.epoch) {
                Some(item) if item.cancelled_at.is_some() => running.stop(Why::Cancelled),
                Some(_) => {}
                None => running.stop(Why::Taken),
            }
        }
        Ok(())
    }

    /// Gives a sign of life for each item, and looks for those of processes that give none.
    async fn sign(&self, now: Timestamp) -> Result<(), StoreError> {
        let queue = self.queue;
        let until = now.plus(queue.settings.lease_ms);
        let running: Vec<_> = queue.lock().iter().map(|(id, it)| (id.clone(), it.epoch)).collect();
        for (id, epoch) in running {
            queue.store().renew_queue_item((&id, epoch), until).await?;
        }
        let tries = i64::from(queue.settings.tries);
        let swept = queue.store().sweep_queue_items(now, tries).await?;
        if swept.waiting > 0 {
            let items = swept.waiting;
            tracing::warn!(items, "items of processes that gave no sign wait again");
        }
        (0..swept.ended).for_each(|_| metrics::queue_item_ended("failed"));
        if swept.ended > 0 {
            queue.tell_ended();
        }
        Ok(())
    }
}

/// Takes as many items as there are free slots.
async fn take(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    slots: &Arc<Semaphore>,
) -> Result<(), StoreError> {
    loop {
        let free = u32::try_from(slots.available_permits()).unwrap_or(u32::MAX);
        if free == 0 {
            return Ok(());
        }
        let now = queue.clock.now();
        let since = Timestamp(now.0.saturating_sub(SHARE_WINDOW_MS));
        let items = queue.store().list_takeable_queue_items(now, since, free).await?;
        let mut taken = 0;
        for item in items {
            let Ok(permit) = slots.clone().try_acquire_owned() else { break };
            let until = queue.clock.now().plus(queue.settings.lease_ms);
            let claimed = queue.store().claim_queue_item(&item, &queue.owner, (now, until)).await?;
            if let Some(row) = claimed {
                taken += 1;
                begin(core, queue, (row, permit));
            }
        }
        if taken == 0 {
            return Ok(());
        }
    }
}

fn begin(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    (row, permit): (QueueItemRow, OwnedSemaphorePermit),
) {
    let stop = CancellationToken::new();
    let running = Running { epoch: row.lease_epoch, stop, why: Arc::default() };
    queue.lock().insert(row.id.clone(), running.clone());
    let place = Place { queue: queue.clone(), id: row.id.clone(), epoch: row.lease_epoch };
    let core = core.clone();
    core.tasks.clone().spawn(async move {
        attempt::carry_out(&core, &place.queue, &row, &running).await;
        drop(permit);
        drop(place);
    });
}

/// The place of an item among those that are carried out here.
struct Place {
    queue: Arc<Queue>,
    id: String,
    epoch: i64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.queue.lock();
        if running.get(&self.id).is_some_and(|it| it.epoch == self.epoch) {
            running.remove(&self.id);
        }
        drop(running);
        self.queue.tell_ended();
    }
}

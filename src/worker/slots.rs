//! The slots of one process: how many attempts run here at once, and whose turn it is when one is free.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use crate::engine::{Claim, Shares};
use crate::model::TeamId;

/// All slots of a process. Clones are the same.
#[derive(Debug, Clone)]
pub(in crate::worker) struct Slots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// There may be room for another run.
    has_room: Notify,
    /// Taken along with slots, for those who watch from outside.
    permits: Arc<Semaphore>,
}

#[derive(Debug)]
struct State {
    free: usize,
    shares: Shares,
    waiting: BTreeMap<u64, Waiter>,
    next_ticket: u64,
    /// Drivers that have begun and do not know yet what they want.
    settling: usize,
}

#[derive(Debug)]
struct Waiter {
    claim: Claim,
    granted: oneshot::Sender<Slot>,
}

/// The right to run one attempt, as long as it lives.
#[derive(Debug)]
pub(in crate::worker) struct Slot {
    slots: Slots,
    team: TeamId,
    permit: Option<OwnedSemaphorePermit>,
}

/// A place in the line for a slot; leaves the line when it is dropped.
#[derive(Debug)]
pub(in crate::worker) struct Waiting {
    slots: Slots,
    ticket: u64,
    granted: oneshot::Receiver<Slot>,
}

/// Says that a driver has begun, until it is dropped.
#[derive(Debug)]
pub(in crate::worker) struct Settling(Slots);

impl Slots {
    /// As many as there are permits, which nobody else may take.
    pub(in crate::worker) fn new(permits: Arc<Semaphore>) -> Self {
        let state = State {
            free: permits.available_permits(),
            shares: Shares::default(),
            waiting: BTreeMap::new(),
            next_ticket: 0,
            settling: 0,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), has_room: Notify::new(), permits }))
    }

    /// How many are free.
    pub(in crate::worker) fn free(&self) -> usize {
        self.lock().free
    }

    /// Takes a free one. There is none while somebody waits.
    pub(in crate::worker) fn try_take(&self, claim: &Claim) -> Option<Slot> {
        let mut state = self.lock();
        state.free = state.free.checked_sub(1)?;
        state.shares.grant(claim);
        Some(self.slot(claim))
    }

    /// Gets into the line. Its turn comes when a slot is free and nobody has a better claim.
    pub(in crate::worker) fn wait(&self, claim: Claim) -> Waiting {
        let (granted, receiver) = oneshot::channel();
        let ticket = {
            let mut state = self.lock();
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.waiting.insert(ticket, Waiter { claim, granted });
            ticket
        };
        self.serve();
        Waiting { slots: self.clone(), ticket, granted: receiver }
    }

    /// A driver has begun; what it wants is not known yet.
    pub(in crate::worker) fn settle(&self) -> Settling {
        self.lock().settling += 1;
        Settling(self.clone())
    }

    /// How many more runs this process could use: until its slots are full and half as many wait.
    pub(in crate::worker) fn appetite(&self, count: usize) -> usize {
        let state = self.lock();
        let ahead = count.div_ceil(2);
        (state.free + ahead).saturating_sub(state.waiting.len() + state.settling)
    }

    /// The shares as they would be if all who wait had been served.
    pub(in crate::worker) fn shares_after_waiting(&self) -> Shares {
        let state = self.lock();
        let mut shares = state.shares.clone();
        for waiter in state.waiting.values() {
            shares.grant(&waiter.claim);
        }
        shares
    }

    pub(in crate::worker) fn set_elsewhere(&self, running: &BTreeMap<TeamId, u32>) {
        self.lock().shares.set_elsewhere(running);
    }

    /// Attempts under way by team.
    pub(in crate::worker) fn running(&self) -> BTreeMap<TeamId, u32> {
        self.lock().shares.running()
    }

    /// Hands free slots to those whose turn it is.
    fn serve(&self) {
        while let Some((waiter, slot)) = self.next() {
            // Whoever has left in this moment gives it back by dropping it.
            drop(waiter.granted.send(slot));
        }
    }

    fn next(&self) -> Option<(Waiter, Slot)> {
        let mut state = self.lock();
        if state.free == 0 {
            return None;
        }
        let (tickets, claims): (Vec<_>, Vec<_>) =
            state.waiting.iter().map(|(ticket, it)| (*ticket, it.claim.clone())).unzip();
        let ticket = tickets.get(state.shares.next(&claims)?)?;
        let waiter = state.waiting.remove(ticket)?;
        state.free -= 1;
        state.shares.grant(&waiter.claim);
        drop(state);
        let slot = self.slot(&waiter.claim);
        Some((waiter, slot))
    }

    fn slot(&self, claim: &Claim) -> Slot {
        let permit = Arc::clone(&self.0.permits).try_acquire_owned().ok();
        Slot { slots: self.clone(), team: claim.team.clone(), permit }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there may be room for another run.
    pub(in crate::worker) async fn room(&self) {
        self.0.has_room.notified().await;
    }
}

impl Waiting {
    /// Waits for the turn. May be called again after it was cancelled.
    pub(in crate::worker) async fn turn(&mut self) -> Slot {
        match (&mut self.granted).await {
            Ok(slot) => slot,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let gone = self.slots.lock().waiting.remove(&self.ticket);
        drop(gone);
        self.slots.0.has_room.notify_one();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.permit.take());
        {
            let mut state = self.slots.lock();
            state.free += 1;
            state.shares.release(&self.team);
        }
        self.slots.serve();
        self.slots.0.has_room.notify_one();
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        {
            let mut state = self.0.lock();
            state.settling = state.settling.saturating_sub(1);
        }
        self.0.0.has_room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(team: &str, place: i64) -> Claim {
        Claim { team: TeamId(team.to_owned()), weight: 1, priority: 0, place }
    }

    #[tokio::test]
    async fn a_free_slot_goes_to_the_team_that_has_less() {
        let slots = Slots::new(Arc::new(Semaphore::new(2)));
        let (first, second) = (slots.try_take(&claim("big", 1)), slots.try_take(&claim("big", 2)));
        assert!(slots.try_take(&claim("small", 9)).is_none());
        let mut big = slots.wait(claim("big", 3));
        let mut small = slots.wait(claim("small", 9));
        drop(first);
        let _of_small = small.turn().await;
        drop(second);
        let _of_big = big.turn().await;
        assert_eq!(slots.free(), 0);
    }

    #[tokio::test]
    async fn who_leaves_the_line_takes_nothing_along() {
        let slots = Slots::new(Arc::new(Semaphore::new(1)));
        let held = slots.try_take(&claim("a", 1));
        let gone = slots.wait(claim("b", 2));
        let mut stays = slots.wait(claim("c", 3));
        drop(gone);
        drop(held);
        drop(stays.turn().await);
        assert_eq!(slots.free(), 1);
        // Granted, and left before it was fetched.
        drop(slots.wait(claim("d", 4)));
        assert_eq!(slots.free(), 1);
    }

    #[test]
    fn a_process_takes_no_more_runs_than_it_can_use() {
        let slots = Slots::new(Arc::new(Semaphore::new(4)));
        assert_eq!(slots.appetite(4), 6);
        let settling: Vec<_> = (0..4).map(|_| slots.settle()).collect();
        assert_eq!(slots.appetite(4), 2);
        drop(settling);
        let _held: Vec<_> = (0..4).map(|it| slots.try_take(&claim("a", it))).collect();
        let _waits: Vec<_> = (0..3).map(|it| slots.wait(claim("a", it))).collect();
        assert_eq!(slots.appetite(4), 0);
    }
}

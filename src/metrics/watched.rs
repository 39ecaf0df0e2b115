//! Things that are counted for as long as they live.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::families::METRICS;

/// Whether a run has a stage that is ready and waits for a slot.
#[derive(Debug, Default)]
pub struct Queue {
    since: Option<Instant>,
}

impl Queue {
    /// It waits now, or does not.
    pub fn set_waiting(&mut self, is_waiting: bool) {
        match (self.since, is_waiting) {
            (None, true) => {
                METRICS.waiting.inc();
                self.since = Some(Instant::now());
            }
            (Some(since), false) => {
                METRICS.waiting.dec();
                METRICS.slot_wait_seconds.observe(since.elapsed().as_secs_f64());
                self.since = None;
            }
            (None, false) | (Some(_), true) => (),
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if self.since.is_some() {
            METRICS.waiting.dec();
        }
    }
}

/// A stream of events that somebody reads.
#[derive(Debug)]
pub struct OpenStream(());

impl OpenStream {
    /// Counts one more.
    #[must_use]
    pub fn new() -> Self {
        METRICS.streams.inc();
        Self(())
    }
}

impl Default for OpenStream {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        METRICS.streams.dec();
    }
}

/// The slots of the worker, if there is one.
#[derive(Default)]
pub(super) struct Slots(Mutex<Option<(Arc<Semaphore>, usize)>>);

impl Slots {
    pub(super) fn watch(&self, slots: Arc<Semaphore>, total: usize) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((slots, total));
    }

    /// Used, and all.
    pub(super) fn count(&self) -> (i64, i64) {
        let watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((slots, total)) = &*watched else { return (0, 0) };
        let used = total.saturating_sub(slots.available_permits());
        (i64::try_from(used).unwrap_or(0), i64::try_from(*total).unwrap_or(0))
    }
}

/// A ledger that cannot be written, from its first failure until it is written or nobody writes it any more.
#[derive(Debug, Default)]
pub struct Unwritten {
    number: Option<u64>,
}

impl Unwritten {
    /// It could not be written.
    pub fn failed(&mut self) {
        if self.number.is_none() {
            self.number = Some(METRICS.unwritten.begin());
        }
    }

    /// Nothing of it waits.
    pub fn written(&mut self) {
        if let Some(number) = self.number.take() {
            METRICS.unwritten.end(number);
        }
    }
}

impl Drop for Unwritten {
    fn drop(&mut self) {
        self.written();
    }
}

/// Those of this process that cannot be written, by the order in which they failed, and since when.
#[derive(Debug, Default)]
pub(super) struct UnwrittenLedgers(Mutex<(u64, BTreeMap<u64, Instant>)>);

impl UnwrittenLedgers {
    fn begin(&self) -> u64 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.0 += 1;
        let number = all.0;
        all.1.insert(number, Instant::now());
        number
    }

    fn end(&self, number: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&number);
    }

    pub(super) fn longest(&self) -> Option<Duration> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.1.first_key_value().map(|it| it.1.elapsed())
    }
}

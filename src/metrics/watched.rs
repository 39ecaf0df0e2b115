//! Things that are counted for as long as they live.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

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

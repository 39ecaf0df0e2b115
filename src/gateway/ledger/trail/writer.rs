//! Writes trails into the store, in batches, apart from the ledger: what it cannot write is lost, and told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::trails::Trails;
use crate::metrics;
use crate::model::Clock;
use crate::store::spend::requests::traces::{TraceContentRow, TraceRow};
use crate::store::{Store, StoreError};

/// Between two batches.
const EVERY: Duration = Duration::from_millis(100);
/// The wait after a store that does not answer, and how often a batch is tried.
const AGAIN: Duration = Duration::from_millis(500);
const TRIES: u32 = 3;
/// How often it is told that some were lost.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// Writes batches until `over`, and then what is left.
pub async fn keep(
    trails: Arc<Trails>,
    (store, clock): (Store, Arc<dyn Clock>),
    over: CancellationToken,
) {
    trails.turn(true);
    let mut writer = Writer { trails: &trails, store, clock, told: None, lost: 0 };
    while tokio::time::timeout(EVERY, over.cancelled()).await.is_err() {
        writer.step().await;
    }
    trails.turn(false);
    writer.step().await;
}

struct Writer<'a> {
    trails: &'a Arc<Trails>,
    store: Store,
    clock: Arc<dyn Clock>,
    told: Option<Instant>,
    /// Lost, and not told yet.
    lost: u64,
}

impl Writer<'_> {
    async fn step(&mut self) {
        let (rows, contents) = self.rows().await;
        if !rows.is_empty() {
            let count = rows.len() as u64;
            match self.write(&rows, &contents).await {
                Ok(()) => metrics::calls_traced("written", count),
                Err(error) => {
                    tracing::warn!(%error, count, "traces of calls cannot be written");
                    metrics::calls_traced("failed", count);
                    self.lost += count;
                }
            }
        }
        let lost = self.trails.take_lost();
        metrics::calls_traced("lost", lost);
        self.lost += lost;
        self.tell();
    }

    /// Apart from the threads that answer calls.
    async fn rows(&self) -> (Vec<TraceRow>, Vec<TraceContentRow>) {
        let records = self.trails.take_waiting();
        if records.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let (trails, now) = (self.trails.clone(), self.clock.now());
        let made = tokio::task::spawn_blocking(move || {
            let rows = records.into_iter().map(|it| it.rows(&trails, now));
            let (rows, contents): (Vec<_>, Vec<_>) = rows.unzip();
            (rows, contents.into_iter().flatten().collect())
        });
        made.await.unwrap_or_default()
    }

    async fn write(
        &self,
        rows: &[TraceRow],
        contents: &[TraceContentRow],
    ) -> Result<(), StoreError> {
        let mut tries = 1;
        loop {
            match self.store.insert_traces(rows, contents).await {
                Err(_) if tries < TRIES => tries += 1,
                answer => return answer,
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn tell(&mut self) {
        let is_due = self.told.is_none_or(|it| it.elapsed() >= TELL_EVERY);
        if self.lost > 0 && is_due {
            let lost = std::mem::take(&mut self.lost);
            tracing::warn!(lost, "calls were not traced: there were too many");
            self.told = Some(Instant::now());
        }
    }
}

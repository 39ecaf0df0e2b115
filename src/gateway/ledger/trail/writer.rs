//! Writes trails and the spans of apps into the store, in batches, apart from the ledger: what it cannot write is lost,
//! and told. Where there is no store, they are handed to who sends them on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

use super::trails::{ReceivedSpan, Trails};
use crate::metrics;
use crate::model::{Clock, Timestamp};
use crate::store::spend::requests::spans::SpanRow;
use crate::store::spend::requests::traces::{TraceContentRow, TraceRow};
use crate::store::{Store, StoreError};

/// Between two batches.
const EVERY: Duration = Duration::from_millis(100);
/// The wait after a store that does not answer, and how often a batch is tried.
const AGAIN: Duration = Duration::from_millis(500);
const TRIES: u32 = 3;
/// How often it is told that some were lost.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// How long who sends them on may take to take the last of them.
const LAST_WITHIN: Duration = Duration::from_secs(5);
/// Calls that are handed over together to who sends them on.
const TOGETHER: usize = 100;

/// Calls, and spans of apps.
pub type Batch = (Vec<TraceRow>, Vec<SpanRow>);

/// Where they go.
#[derive(Debug, Clone)]
pub enum Destination {
    /// Into tables.
    Store(Store),
    /// To who sends them on; what was said in them is not told there.
    Sender(Sender<Batch>),
}

impl From<Store> for Destination {
    fn from(store: Store) -> Self {
        Self::Store(store)
    }
}

/// Writes batches until `over`, and then what is left.
pub async fn keep(
    trails: Arc<Trails>,
    (destination, clock): (impl Into<Destination>, Arc<dyn Clock>),
    over: CancellationToken,
) {
    trails.turn(true);
    let destination = destination.into();
    let mut writer = Writer { trails: &trails, destination, clock, told: None, lost: 0 };
    while tokio::time::timeout(EVERY, over.cancelled()).await.is_err() {
        writer.step(Duration::ZERO).await;
    }
    trails.turn(false);
    writer.step(LAST_WITHIN).await;
}

struct Writer<'a> {
    trails: &'a Arc<Trails>,
    destination: Destination,
    clock: Arc<dyn Clock>,
    told: Option<Instant>,
    /// Lost, and not told yet.
    lost: u64,
}

impl Writer<'_> {
    async fn step(&mut self, patience: Duration) {
        match self.destination.clone() {
            Destination::Store(store) => {
                let (rows, contents) = self.rows(usize::MAX).await;
                if !rows.is_empty() {
                    let count = rows.len() as u64;
                    let written = patiently(|| store.insert_traces(&rows, &contents)).await;
                    self.lost += outcome(written, count, ("calls", metrics::calls_traced));
                }
                self.spans(&store).await;
            }
            Destination::Sender(sender) => self.hand_over(&sender, patience).await,
        }
        let lost = self.trails.take_lost();
        metrics::calls_traced("lost", lost);
        self.lost += lost;
        self.tell();
    }

    async fn spans(&self, store: &Store) {
        let (rows, contents) = stamped(self.trails.take_waiting_spans(), self.clock.now());
        if !rows.is_empty() {
            let count = rows.len() as u64;
            let written = patiently(|| store.insert_spans(&rows, &contents)).await;
            outcome(written, count, ("spans", metrics::spans_received));
        }
    }

    /// What waits is taken only when there is somebody to take it: until then the bounds of what waits count.
    async fn hand_over(&mut self, sender: &Sender<Batch>, patience: Duration) {
        let until = tokio::time::Instant::now() + patience.max(EVERY);
        loop {
            let Ok(Ok(place)) = tokio::time::timeout_at(until, sender.reserve()).await else {
                return;
            };
            let (rows, _) = self.rows(TOGETHER).await;
            let (spans, _) = stamped(self.trails.take_waiting_spans(), self.clock.now());
            if rows.is_empty() && spans.is_empty() {
                return;
            }
            metrics::calls_traced("written", rows.len() as u64);
            metrics::spans_received("written", spans.len() as u64);
            place.send((rows, spans));
            if !self.trails.has_waiting() {
                return;
            }
        }
    }

    /// So many at most, made apart from the threads that answer calls.
    async fn rows(&self, most: usize) -> (Vec<TraceRow>, Vec<TraceContentRow>) {
        let records = self.trails.take_waiting(most);
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

    fn tell(&mut self) {
        let is_due = self.told.is_none_or(|it| it.elapsed() >= TELL_EVERY);
        if self.lost > 0 && is_due {
            let lost = std::mem::take(&mut self.lost);
            tracing::warn!(lost, "calls were not traced: there were too many");
            self.told = Some(Instant::now());
        }
    }
}

/// Spans that are written now.
fn stamped(spans: Vec<ReceivedSpan>, now: Timestamp) -> (Vec<SpanRow>, Vec<TraceContentRow>) {
    let stamp = |it: ReceivedSpan| {
        let content = it.content.map(|content| TraceContentRow { written_at: now, ..content });
        (SpanRow { written_at: now, ..it.row }, content)
    };
    let (rows, contents): (Vec<_>, Vec<_>) = spans.into_iter().map(stamp).unzip();
    (rows, contents.into_iter().flatten().collect())
}

/// A few times, when the store does not answer.
async fn patiently<F: Future<Output = Result<(), StoreError>>>(
    write: impl Fn() -> F,
) -> Result<(), StoreError> {
    let mut tries = 1;
    loop {
        match write().await {
            Err(_) if tries < TRIES => tries += 1,
            answer => return answer,
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Tells what became of so many; how many were lost.
fn outcome(
    written: Result<(), StoreError>,
    count: u64,
    (what, tell): (&'static str, fn(&'static str, u64)),
) -> u64 {
    match written {
        Ok(()) => {
            tell("written", count);
            0
        }
        Err(error) => {
            tracing::warn!(%error, count, what, "traces cannot be written");
            tell("failed", count);
            count
        }
    }
}

//! Finished runs, calls to models and spans of apps as traces, sent to a collector over OTLP/HTTP. From what is stored and after the
//! fact: nothing waits for it, and a process that stops in the middle leaves the rest to the next.

mod span;
mod tree;
mod calls;
mod received;
mod otlp;
mod collector;
mod written;
mod live;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::TraceSettings;
use crate::metrics;
use crate::model::{Clock, Milliseconds, Timestamp};
use crate::outgoing::{Outgoing, OutgoingError};
use crate::runs::Runs;
use crate::store::traces::Untraced;

pub use calls::call_spans;
pub use live::LiveExporter;
pub use otlp::to_json;
pub use received::received_span;
pub use span::{Attributes, Maker, Micros, Span, SpanKind, SpanStatus};
pub use tree::{Facts, spans};

use collector::{Collector, ExportError};
use written::Written;

/// Between two looks for runs that have ended.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Runs that are looked at together.
const BATCH: u32 = 20;
/// Calls to models, or spans of apps, that are sent together.
const CALLS: u32 = 200;
/// What was written less long ago is not sent yet: another process may still write what comes before it.
const SETTLED: Milliseconds = Milliseconds(3_000);
/// How long a run is taken for; after it another process may send it.
const CLAIM: Milliseconds = Milliseconds::from_seconds(60);
/// The first and the longest wait after a collector was away.
const BACK_OFF: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_mins(5);
/// Runs that ended longer ago are not sent any more: the queue has an end, and who begins to send does not begin
/// with the whole past.
const WINDOW: Milliseconds = Milliseconds::from_seconds(24 * 3600);

/// Sends traces. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Exporter {
    runs: Runs,
    collector: Collector,
    public_url: Option<String>,
    clock: Arc<dyn Clock>,
}

impl Exporter {
    /// Sends to the collector of the settings, which may be in a private network.
    pub fn new(
        runs: Runs,
        outgoing: &Outgoing,
        (settings, public_url): (TraceSettings, Option<String>),
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OutgoingError> {
        let collector = Collector::new(outgoing, settings)?;
        Ok(Self { runs, collector, public_url, clock })
    }

    /// Until `shutdown`.
    pub async fn serve(&self, shutdown: &CancellationToken) {
        let mut back_off = BACK_OFF;
        while !shutdown.is_cancelled() {
            let pause = tokio::select! {
                () = shutdown.cancelled() => return,
                sent = self.send_all_due() => match sent {
                    Ok(is_full) => {
                        back_off = BACK_OFF;
                        if is_full { Duration::ZERO } else { LOOK_EVERY }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "traces are sent later");
                        let asked = match error {
                            ExportError::Away { retry_after, .. } => retry_after,
                            ExportError::Refused(_) | ExportError::Runs(_) | ExportError::Store(_) => None,
                        };
                        let pause = asked.unwrap_or(back_off).min(BACK_OFF_MAX);
                        back_off = (back_off * 2).min(BACK_OFF_MAX);
                        pause
                    }
                },
            };
            tokio::select! {
                () = shutdown.cancelled() => (),
                () = tokio::time::sleep(pause) => (),
            }
        }
    }

    /// Sends runs, calls and spans that are due; whether there may be more.
    async fn send_all_due(&self) -> Result<bool, ExportError> {
        let more_runs = self.send_due().await?;
        let more_calls = self.send_written_due(Written::Calls).await?;
        Ok(self.send_written_due(Written::Spans).await? || more_calls || more_runs)
    }

    /// Sends what is due; whether there may be more.
    async fn send_due(&self) -> Result<bool, ExportError> {
        let now = self.clock.now();
        let since = Timestamp(now.0.saturating_sub_unsigned(WINDOW.0));
        let due = self.runs.store().list_untraced_runs(since, now, BATCH).await?;
        for untraced in &due {
            if !self.runs.store().claim_trace(untraced, now.plus(CLAIM)).await? {
                continue;
            }
            match self.send(untraced).await {
                Ok(()) => metrics::trace_exported("sent"),
                Err(ExportError::Refused(reason)) => {
                    metrics::trace_exported("refused");
                    tracing::warn!(run = %untraced.id, reason, "a trace is not sent");
                }
                Err(error) => {
                    metrics::trace_exported("later");
                    let claimed =
                        Untraced { trace_claimed_until: now.plus(CLAIM), ..untraced.clone() };
                    self.runs.store().claim_trace(&claimed, now).await?;
                    return Err(error);
                }
            }
        }
        Ok(due.len() == BATCH as usize)
    }

    async fn send(&self, untraced: &Untraced) -> Result<(), ExportError> {
        let store = self.runs.store();
        let loaded = self.runs.load(&untraced.id).await?;
        let events = store.list_events(&untraced.id, 0).await?;
        let facts = Facts {
            run: &loaded.run,
            row: &loaded.row,
            public_url: self.public_url.as_deref(),
            from_seq: untraced.traced,
        };
        let spans = spans(&facts, &events);
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let posted =
            if spans.is_empty() { Ok(()) } else { self.collector.post(to_json(&spans)).await };
        if !matches!(posted, Err(ExportError::Away { .. })) {
            store.save_traced(&untraced.id, count).await?;
        }
        posted
    }
}

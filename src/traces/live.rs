//! Sends what a gateway without a database has noted, as it comes. What the collector does not take for so long that no
//! more fits into memory is lost, and so is what waits when the process ends.

use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::collector::{Collector, ExportError};
use super::{BACK_OFF, BACK_OFF_MAX, Span, call_spans, received_span, to_json};
use crate::config::TraceSettings;
use crate::metrics;
use crate::outgoing::{Outgoing, OutgoingError};
use crate::store::spend::requests::spans::SpanRow;
use crate::store::spend::requests::traces::TraceRow;

/// Spans that are sent together.
const TOGETHER: usize = 500;

/// Sends batches to a collector.
#[derive(Debug)]
pub struct LiveExporter {
    collector: Collector,
}

impl LiveExporter {
    /// To the collector of the settings, which may be in a private network.
    pub fn new(outgoing: &Outgoing, settings: TraceSettings) -> Result<Self, OutgoingError> {
        Ok(Self { collector: Collector::new(outgoing, settings)? })
    }

    /// Until nobody hands over any more. What comes after `over` is tried once.
    pub async fn serve(
        self,
        mut batches: Receiver<(Vec<TraceRow>, Vec<SpanRow>)>,
        over: CancellationToken,
    ) {
        while let Some((calls, spans)) = batches.recv().await {
            let calls = calls.iter().flat_map(call_spans);
            let spans: Vec<_> = calls.chain(spans.iter().map(received_span)).collect();
            for spans in spans.chunks(TOGETHER) {
                self.send(spans, &over).await;
            }
        }
    }

    /// Until the collector has taken or refused them, or the process ends.
    async fn send(&self, spans: &[Span], over: &CancellationToken) {
        let (body, mut back_off) = (to_json(spans), BACK_OFF);
        loop {
            let error = match self.collector.post(&body).await {
                Ok(()) => return metrics::trace_exported("sent"),
                Err(error) => error,
            };
            let pause = pause_after(&error, back_off).filter(|_| !over.is_cancelled());
            let Some(pause) = pause else {
                metrics::trace_exported("lost");
                tracing::warn!(%error, spans = spans.len(), "traces are not sent");
                return;
            };
            tracing::warn!(%error, "traces are sent later");
            back_off = (back_off * 2).min(BACK_OFF_MAX);
            // At the end, one more try follows at once.
            let _ended = tokio::time::timeout(pause, over.cancelled()).await;
        }
    }
}

/// How long to wait before another try; `None` when there is to be none.
fn pause_after(error: &ExportError, back_off: Duration) -> Option<Duration> {
    match error {
        ExportError::Away { retry_after, .. } => {
            Some(retry_after.unwrap_or(back_off).min(BACK_OFF_MAX))
        }
        ExportError::Refused(_) | ExportError::Runs(_) | ExportError::Store(_) => None,
    }
}

//! Sends what a gateway without a database has noted, as it comes. What the collector does not take for so long that no
//! more fits into memory is lost, and so is what waits when the process ends.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::collector::{Collector, ExportError};
use super::{BACK_OFF, BACK_OFF_MAX, call_spans, received_span, to_json};
use crate::config::TraceSettings;
use crate::metrics;
use crate::outgoing::{Outgoing, OutgoingError};
use crate::store::spend::requests::spans::SpanRow;
use crate::store::spend::requests::traces::TraceRow;

/// Spans that are sent together: a batch stands in memory as spans and as the text of its request.
const TOGETHER: usize = 100;

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
            let calls = calls.into_iter().flat_map(|it| call_spans(&it));
            let mut spans = calls.chain(spans.into_iter().map(|it| received_span(&it)));
            loop {
                let together: Vec<_> = spans.by_ref().take(TOGETHER).collect();
                if together.is_empty() {
                    break;
                }
                let (count, body) = (together.len(), to_json(&together));
                drop(together);
                self.send((count, body.into()), &over).await;
            }
        }
    }

    /// Until the collector has taken or refused them, or the process ends.
    async fn send(&self, (spans, body): (usize, Bytes), over: &CancellationToken) {
        let mut back_off = BACK_OFF;
        loop {
            let error = match self.collector.post(body.clone()).await {
                Ok(()) => return metrics::trace_exported("sent"),
                Err(error) => error,
            };
            let pause = pause_after(&error, back_off).filter(|_| !over.is_cancelled());
            let Some(pause) = pause else {
                metrics::trace_exported("lost");
                tracing::warn!(%error, spans, "traces are not sent");
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

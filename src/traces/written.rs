//! Sends what the gateway has written: calls to models, and spans of apps.

use super::collector::ExportError;
use super::{CALLS, CLAIM, Exporter, SETTLED, Span, WINDOW, call_spans, received_span, to_json};
use crate::metrics;
use crate::model::Timestamp;
use crate::store::StoreError;
use crate::store::spend::requests::exports::ExportRow;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Calls,
    Spans,
}

/// A row: when it was written, its id, and what it is told as.
type Row = (Timestamp, String, Vec<Span>);

impl Exporter {
    /// Sends what was written since the last time; one process at a time. Whether there may be more.
    pub(super) async fn send_written_due(&self, what: Written) -> Result<bool, ExportError> {
        let (now, store) = (self.clock.now(), self.runs.store());
        let name = match what {
            Written::Calls => self.collector.endpoint().to_owned(),
            Written::Spans => format!("{} spans", self.collector.endpoint()),
        };
        let since = Timestamp(now.0.saturating_sub_unsigned(WINDOW.0));
        let before = Timestamp(now.0.saturating_sub_unsigned(SETTLED.0));
        let known = store.find_trace_export(&name).await?.unwrap_or_default().not_before(since);
        if known.claimed_until > now || self.unsent(what, &known, (before, 1)).await?.is_empty() {
            return Ok(false);
        }
        let claimed = store.claim_trace_export(&name, (now, now.plus(CLAIM)), since).await?;
        let Some(held) = claimed else { return Ok(false) };
        let rows = self.unsent(what, &held.not_before(since), (before, CALLS)).await?;
        let (count, last) = (rows.len(), rows.last().map(|it| (it.0, it.1.clone())));
        let spans: Vec<_> = rows.into_iter().flat_map(|it| it.2).collect();
        let posted =
            if spans.is_empty() { Ok(()) } else { self.collector.post(to_json(&spans)).await };
        let is_away = matches!(posted, Err(ExportError::Away { .. }));
        let sent = match last.filter(|_| !is_away) {
            Some((written_at, id)) => ExportRow { written_at, id, ..held.clone() },
            None => held.clone(),
        };
        let sent = ExportRow { claimed_until: Timestamp(0), ..sent };
        store.save_trace_export(&name, &held, &sent).await?;
        told(posted, (what, count))?;
        Ok(count == CALLS as usize)
    }

    async fn unsent(
        &self,
        what: Written,
        after: &ExportRow,
        (before, limit): (Timestamp, u32),
    ) -> Result<Vec<Row>, StoreError> {
        let store = self.runs.store();
        Ok(match what {
            Written::Calls => {
                let rows = store.list_unsent_traces(after, before, limit).await?;
                let row = |it: &_| call_spans(it);
                rows.iter().map(|it| (it.written_at, it.id.clone(), row(it))).collect()
            }
            Written::Spans => {
                let rows = store.list_unsent_spans(after, before, limit).await?;
                let row = |it: &_| vec![received_span(it)];
                rows.iter().map(|it| (it.written_at, it.id.clone(), row(it))).collect()
            }
        })
    }
}

/// Counts what became of some. That they were refused is no reason to wait.
fn told(
    posted: Result<(), ExportError>,
    (what, count): (Written, usize),
) -> Result<(), ExportError> {
    let [sent, refused, later] = match what {
        Written::Calls => ["calls_sent", "calls_refused", "calls_later"],
        Written::Spans => ["spans_sent", "spans_refused", "spans_later"],
    };
    match posted {
        Ok(()) => metrics::trace_exported(sent),
        Err(ExportError::Refused(reason)) => {
            metrics::trace_exported(refused);
            tracing::warn!(count, ?what, reason, "traces are not sent");
        }
        Err(error) => {
            metrics::trace_exported(later);
            return Err(error);
        }
    }
    Ok(())
}

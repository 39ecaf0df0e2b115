//! Finished runs and calls to models as traces, sent to a collector over OTLP/HTTP. From what is stored and after the
//! fact: nothing waits for it, and a process that stops in the middle leaves the rest to the next.

mod span;
mod tree;
mod calls;
mod otlp;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use tokio_util::sync::CancellationToken;

use crate::config::TraceSettings;
use crate::metrics;
use crate::model::{Clock, Milliseconds, Timestamp};
use crate::outgoing::{Answer, Outgoing, OutgoingError};
use crate::runs::{Runs, RunsError};
use crate::store::StoreError;
use crate::store::spend::requests::exports::ExportRow;
use crate::store::traces::Untraced;

pub use calls::call_spans;
pub use otlp::to_json;
pub use span::{Micros, Span, SpanKind, SpanStatus};
pub use tree::{Facts, spans};

/// Between two looks for runs that have ended.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Runs that are looked at together.
const BATCH: u32 = 20;
/// Calls to models that are sent together.
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
    outgoing: Outgoing,
    settings: Arc<TraceSettings>,
    public_url: Option<String>,
    clock: Arc<dyn Clock>,
}

/// Why a trace was not sent.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    /// Try again, not before so long.
    #[error("the collector is away: {reason}")]
    Away { reason: String, retry_after: Option<Duration> },
    /// It would not take it another time either.
    #[error("the collector refuses it: {0}")]
    Refused(String),
    #[error(transparent)]
    Runs(#[from] RunsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Exporter {
    /// Sends to the collector of the settings, which may be in a private network.
    pub fn new(
        runs: Runs,
        outgoing: &Outgoing,
        (settings, public_url): (TraceSettings, Option<String>),
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OutgoingError> {
        let outgoing = outgoing.trusting(&settings.endpoint)?;
        Ok(Self { runs, outgoing, settings: Arc::new(settings), public_url, clock })
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

    /// Sends runs and calls that are due; whether there may be more.
    async fn send_all_due(&self) -> Result<bool, ExportError> {
        let more_runs = self.send_due().await?;
        Ok(self.send_calls_due().await? || more_runs)
    }

    /// Sends calls to models that were written since the last ones; one process at a time.
    async fn send_calls_due(&self) -> Result<bool, ExportError> {
        let (now, store, name) = (self.clock.now(), self.runs.store(), &self.settings.endpoint);
        let since = Timestamp(now.0.saturating_sub_unsigned(WINDOW.0));
        let before = Timestamp(now.0.saturating_sub_unsigned(SETTLED.0));
        let known = store.find_trace_export(name).await?.unwrap_or_default().not_before(since);
        if known.claimed_until > now
            || store.list_unsent_traces(&known, before, 1).await?.is_empty()
        {
            return Ok(false);
        }
        let claimed = store.claim_trace_export(name, (now, now.plus(CLAIM)), since).await?;
        let Some(held) = claimed else { return Ok(false) };
        let rows = store.list_unsent_traces(&held.not_before(since), before, CALLS).await?;
        let spans: Vec<_> = rows.iter().flat_map(call_spans).collect();
        let posted = if spans.is_empty() { Ok(()) } else { self.post(&to_json(&spans)).await };
        let is_away = matches!(posted, Err(ExportError::Away { .. }));
        let sent = match rows.last().filter(|_| !is_away) {
            Some(last) => {
                ExportRow { written_at: last.written_at, id: last.id.clone(), ..held.clone() }
            }
            None => held.clone(),
        };
        let sent = ExportRow { claimed_until: Timestamp(0), ..sent };
        store.save_trace_export(name, &held, &sent).await?;
        told(posted, rows.len())?;
        Ok(rows.len() == CALLS as usize)
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
        let posted = if spans.is_empty() { Ok(()) } else { self.post(&to_json(&spans)).await };
        if !matches!(posted, Err(ExportError::Away { .. })) {
            store.save_traced(&untraced.id, count).await?;
        }
        posted
    }

    async fn post(&self, body: &serde_json::Value) -> Result<(), ExportError> {
        let address = format!("{}/v1/traces", self.settings.endpoint);
        let refused = |it: OutgoingError| ExportError::Refused(it.to_string());
        let mut request = self.outgoing.request(Method::POST, &address).map_err(refused)?;
        for (name, value) in &self.settings.headers {
            request = request.header(name, &value.0);
        }
        let answer = self.outgoing.send(request.json(body)).await;
        let away =
            |it: OutgoingError| ExportError::Away { reason: it.to_string(), retry_after: None };
        judge(&answer.map_err(away)?)
    }
}

/// Counts what became of some calls. That they were refused is no reason to wait.
fn told(posted: Result<(), ExportError>, calls: usize) -> Result<(), ExportError> {
    match posted {
        Ok(()) => metrics::trace_exported("calls_sent"),
        Err(ExportError::Refused(reason)) => {
            metrics::trace_exported("calls_refused");
            tracing::warn!(calls, reason, "traces of calls to models are not sent");
        }
        Err(error) => {
            metrics::trace_exported("calls_later");
            return Err(error);
        }
    }
    Ok(())
}

/// Which answers are worth another try:
/// <https://opentelemetry.io/docs/specs/otlp/#failures-1>.
fn judge(answer: &Answer) -> Result<(), ExportError> {
    let status = answer.status;
    if status.is_success() {
        return Ok(());
    }
    let said: String = String::from_utf8_lossy(&answer.body).chars().take(200).collect();
    let reason = format!("{status}: {said}");
    let is_temporary = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    if !is_temporary {
        return Err(ExportError::Refused(reason));
    }
    let seconds = answer.headers.get(header::RETRY_AFTER).and_then(|it| it.to_str().ok());
    let retry_after = seconds.and_then(|it| it.parse().ok()).map(Duration::from_secs);
    Err(ExportError::Away { reason, retry_after })
}

//! The collector that traces are sent to, over OTLP/HTTP.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, StatusCode, header};

use crate::config::TraceSettings;
use crate::outgoing::{Answer, Outgoing, OutgoingError};
use crate::runs::RunsError;
use crate::store::StoreError;

/// Where traces are sent to. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Collector {
    outgoing: Outgoing,
    settings: Arc<TraceSettings>,
}

/// Why a trace was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
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

impl Collector {
    /// Which may be in a private network.
    pub(super) fn new(outgoing: &Outgoing, settings: TraceSettings) -> Result<Self, OutgoingError> {
        let outgoing = outgoing.trusting(&settings.endpoint)?;
        Ok(Self { outgoing, settings: Arc::new(settings) })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.settings.endpoint
    }

    /// Sends a request that [`to_json`](super::to_json) has written.
    pub(super) async fn post(&self, body: impl Into<Bytes>) -> Result<(), ExportError> {
        let address = format!("{}/v1/traces", self.settings.endpoint);
        let refused = |it: OutgoingError| ExportError::Refused(it.to_string());
        let mut request = self.outgoing.request(Method::POST, &address).map_err(refused)?;
        for (name, value) in &self.settings.headers {
            request = request.header(name, &value.0);
        }
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body.into());
        let answer = self.outgoing.send(request).await;
        let away =
            |it: OutgoingError| ExportError::Away { reason: it.to_string(), retry_after: None };
        judge(&answer.map_err(away)?)
    }
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

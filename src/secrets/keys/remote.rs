//! Asking a key holder over HTTP: bounded in time and size, and nothing secret in its errors.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode, redirect};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::KeyError;

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(15);
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// As much of a refusal as is shown.
const REASON_CHARS_MAX: usize = 300;

/// What is asked of whom, for errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) provider: &'static str,
    pub(super) operation: &'a str,
}

impl Question<'_> {
    pub(super) fn unreachable(&self, reason: impl Into<String>) -> KeyError {
        let (provider, operation) = (self.provider, self.operation.to_owned());
        KeyError::Unreachable { provider, operation, reason: reason.into() }
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> KeyError {
        let said: String = String::from_utf8_lossy(body).chars().take(REASON_CHARS_MAX).collect();
        let reason = format!("{status}: {said}");
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return self.unreachable(reason);
        }
        let (provider, operation) = (self.provider, self.operation.to_owned());
        KeyError::Refused { provider, operation, reason }
    }

    /// Sends, and reads the JSON of the answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, KeyError> {
        let failed = |error: reqwest::Error| self.unreachable(shown(&error));
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        // It may hold a key.
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(self.unreachable("its answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            return Err(self.refused(status, &body));
        }
        serde_json::from_slice(&body).map_err(|_| self.unreachable("its answer has another form"))
    }
}

/// A client that goes where it is sent, and nowhere else.
pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_PATIENCE)
        .timeout(PATIENCE)
        .redirect(redirect::Policy::none())
        .build()
}

fn shown(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

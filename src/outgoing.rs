//! Calls to addresses that people have typed in: bounded in time and size, without redirects or proxies, and
//! not into private networks unless the installation's owner has named the host.

mod policy;
mod reach;

#[cfg(test)]
mod tests;

pub use policy::Policy;
pub use reach::Reach;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode, Url};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The one client for such calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outgoing {
    http: reqwest::Client,
    policy: Policy,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: reqwest::header::HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why a call did not happen, or brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    /// Not an address that may be called.
    #[error("`{address}` may not be called: {reason}")]
    Forbidden {
        /// The address.
        address: String,
        /// Why.
        reason: &'static str,
    },
    /// No connection, no answer in time, or too long a one.
    #[error("`{host}` does not answer: {reason}")]
    Unreachable {
        /// Which host.
        host: String,
        /// What the client said.
        reason: String,
    },
}

impl Outgoing {
    /// A client that may call private addresses of these hosts only.
    pub fn new(private_hosts: BTreeSet<String>) -> Result<Self, OutgoingError> {
        Self::with_policy(Policy::new(private_hosts))
    }

    /// A client that also calls the host of an address that the operator has written into the settings.
    pub fn trusting(&self, address: &str) -> Result<Self, OutgoingError> {
        Self::with_policy(self.policy.trusting(address))
    }

    fn with_policy(policy: Policy) -> Result<Self, OutgoingError> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("trunkline/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve names itself.
            .no_proxy()
            .dns_resolver(Arc::new(policy.clone()))
            .build();
        let failed = |error: reqwest::Error| unreachable("TLS", &error);
        Ok(Self { http: http.map_err(failed)?, policy })
    }

    /// Whether the address may be called at all; names are judged again when they are resolved.
    pub fn admit(&self, address: &str) -> Result<Url, OutgoingError> {
        self.policy.admit(address)
    }

    /// Where a host leads to, as far as it may be connected to, for connections that are made by others.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, OutgoingError> {
        self.policy.resolve(host, port).await
    }

    /// A request with a method, to an address that is admitted.
    pub fn request(
        &self,
        method: reqwest::Method,
        address: &str,
    ) -> Result<RequestBuilder, OutgoingError> {
        Ok(self.http.request(method, self.admit(address)?))
    }

    /// Sends a request and reads the answer. A redirect is an answer, and is not followed.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, OutgoingError> {
        let mut response = request.send().await.map_err(|error| {
            let host = error.url().and_then(|it| it.host_str().map(str::to_owned));
            unreachable(&host.unwrap_or_default(), &error)
        })?;
        let host = response.url().host_str().unwrap_or_default().to_owned();
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|it| unreachable(&host, &it))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let reason = format!("its answer is longer than {ANSWER_BYTES_MAX} bytes");
                return Err(OutgoingError::Unreachable { host, reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body })
    }
}

/// The innermost cause: the outer ones only say that a request failed. What the policy refuses stays that.
fn unreachable(host: &str, error: &reqwest::Error) -> OutgoingError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
        if let Some(OutgoingError::Forbidden { address, reason }) = cause.downcast_ref() {
            return OutgoingError::Forbidden { address: address.clone(), reason };
        }
    }
    OutgoingError::Unreachable { host: host.to_owned(), reason: cause.to_string() }
}

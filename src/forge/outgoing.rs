//! Calls to addresses that people have typed in: bounded in time and size, without redirects, and not into
//! private networks unless the installation's owner has named the host.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{RequestBuilder, StatusCode, Url};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The one client for calls to forges. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outgoing {
    http: reqwest::Client,
    rule: Rule,
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

/// Hosts that may be private, by name.
#[derive(Debug, Clone)]
struct Rule {
    private_hosts: Arc<BTreeSet<String>>,
}

impl Outgoing {
    /// A client that may call private addresses of these hosts only.
    pub fn new(private_hosts: BTreeSet<String>) -> Result<Self, OutgoingError> {
        let rule = Rule { private_hosts: Arc::new(private_hosts) };
        let http = reqwest::Client::builder()
            .user_agent(concat!("trunkline/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(rule.clone()))
            .build();
        let failed = |error: reqwest::Error| unreachable("TLS", &error);
        Ok(Self { http: http.map_err(failed)?, rule })
    }

    /// Whether the address may be called at all; names are judged again when they are resolved.
    pub fn admit(&self, address: &str) -> Result<Url, OutgoingError> {
        let forbidden =
            |reason| OutgoingError::Forbidden { address: without_password(address), reason };
        let url = Url::parse(address).map_err(|_| forbidden("it is no URL"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(forbidden("it is neither `https:` nor `http:`"));
        }
        let host = url.host_str().ok_or_else(|| forbidden("it names no host"))?;
        let is_named = self.rule.is_named(host);
        if url.scheme() == "http" && !is_named {
            return Err(forbidden("`http:` is for hosts that `TRUNKLINE_PRIVATE_HOSTS` names"));
        }
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        if literal.is_ok_and(is_private) && !is_named {
            return Err(forbidden("it is private; `TRUNKLINE_PRIVATE_HOSTS` does not name it"));
        }
        Ok(url)
    }

    /// Whether a host leads to where a connection may go, for connections that are made by others.
    pub async fn admit_host(&self, host: &str) -> Result<(), OutgoingError> {
        if self.rule.is_named(host) {
            return Ok(());
        }
        let bare = host.trim_matches(['[', ']']);
        let found = tokio::net::lookup_host((bare, 0)).await.map_err(|error| {
            OutgoingError::Unreachable { host: host.to_owned(), reason: error.to_string() }
        })?;
        let reason = "it is private; `TRUNKLINE_PRIVATE_HOSTS` does not name it";
        let mut private = found.filter(|it| is_private(it.ip()));
        match private.next() {
            Some(_) => Err(OutgoingError::Forbidden { address: host.to_owned(), reason }),
            None => Ok(()),
        }
    }

    /// A request with a method, to an address that is admitted.
    pub fn request(
        &self,
        method: reqwest::Method,
        address: &str,
    ) -> Result<RequestBuilder, OutgoingError> {
        Ok(self.http.request(method, self.admit(address)?))
    }

    /// Sends a request and reads the answer.
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

/// The innermost cause: the outer ones only say that a request failed.
fn unreachable(host: &str, error: &reqwest::Error) -> OutgoingError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    OutgoingError::Unreachable { host: host.to_owned(), reason: cause.to_string() }
}

fn without_password(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else { return address.to_owned() };
    if url.password().is_some() && url.set_password(None).is_err() {
        return String::new();
    }
    url.to_string()
}

impl Rule {
    fn is_named(&self, host: &str) -> bool {
        self.private_hosts.contains(&host.to_lowercase())
    }
}

impl Resolve for Rule {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let is_named = rule.is_named(name.as_str());
            let allowed: Vec<SocketAddr> =
                found.filter(|it| is_named || !is_private(it.ip())).collect();
            if allowed.is_empty() {
                let reason =
                    "all its addresses are private, and `TRUNKLINE_PRIVATE_HOSTS` does not name it";
                return Err(reason.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address leads to this machine or a network behind it. What is not known to be public counts
/// as private (RFC 6890, and the ranges for documentation and benchmarks).
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => is_private_v4(it),
        IpAddr::V6(it) => {
            let [first, second, ..] = it.segments();
            let embedded = it.to_ipv4_mapped().or_else(|| {
                let [.., high, low] = it.segments();
                let [a, b] = high.to_be_bytes();
                let [c, d] = low.to_be_bytes();
                ((first, second) == (0x64, 0xff9b)).then(|| Ipv4Addr::new(a, b, c, d))
            });
            embedded.is_some_and(is_private_v4)
                || it.is_loopback()
                || it.is_unspecified()
                || it.is_multicast()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
                || first & 0xffc0 == 0xfec0
                || (first, second) == (0x2001, 0xdb8)
        }
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && b & 0xc0 == 64)
        || (a == 198 && b & 0xfe == 18)
        || (a, b, c) == (192, 0, 0)
}

//! Calls to providers, over connections that are kept open.

pub mod opening;
mod error_alone;
mod received;
mod told;
pub mod tries;

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::gateway::server::lanes;

/// Connections to one provider that wait for the next call.
const IDLE_CONNECTIONS: usize = 1024;
/// How long they wait.
const IDLE_FOR: Duration = Duration::from_secs(90);
/// A body that is not larger is kept apart from the buffer that it was read into, which is larger.
const SMALL_BYTES: usize = 4 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The request never left.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    /// The provider may have done its work.
    #[error("the answer of the provider is broken: {0}")]
    Broken(String),
    /// The provider has done its work, and not all of its answer has come.
    #[error("the answer of the provider is broken: {why}")]
    Cut {
        /// What is wrong with it.
        why: String,
        /// What has come.
        seen: Bytes,
    },
    /// Something else than the provider's API has answered, and says that all is well.
    #[error(
        "the provider answers with a web page and not with JSON; its `url` in the gateway's file may be wrong, or something between may have answered"
    )]
    Page,
    /// The provider says that all is well, and then only what went wrong.
    #[error("the provider answers with an error alone: {0}")]
    ErrorAlone(String),
    /// The provider may be doing its work.
    #[error("the provider did not {0} in time")]
    Timeout(&'static str),
    /// The provider has begun its answer, and may be doing the rest of its work.
    #[error("the provider did not finish its answer in time")]
    Unfinished {
        /// What has come.
        seen: Bytes,
    },
    /// The answer is larger than allowed. The provider has done its work, and would do no other.
    #[error("the answer of the provider is larger than {limit_bytes} bytes")]
    TooLarge {
        /// What is allowed.
        limit_bytes: u64,
        /// What has come.
        seen: Bytes,
    },
    /// Somebody wanted the end of the call; the provider may be doing its work.
    #[error("the call was stopped")]
    Stopped,
}

impl UpstreamError {
    /// An answer in which nothing has come.
    #[must_use]
    pub fn nothing() -> Self {
        Self::Cut { why: "it is empty".to_owned(), seen: Bytes::new() }
    }

    /// An answer that cannot be read.
    #[must_use]
    pub fn compressed(word: &str) -> Self {
        Self::Broken(format!(
            "it is compressed (`content-encoding: {word}`) though it was asked for as it is; switch that off at the \
             provider, or at what stands before it"
        ))
    }

    /// Its word in the log.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Broken(_) => "broken",
            Self::Cut { .. } => "cut",
            Self::Page => "page",
            Self::ErrorAlone(_) => "error",
            Self::Timeout(_) | Self::Unfinished { .. } => "timeout",
            Self::TooLarge { .. } => "too_large",
            Self::Stopped => "stopped",
        }
    }
}

/// Calls providers. Each lane has connections of its own, so that no call waits for another thread.
#[derive(Debug, Clone)]
pub struct Upstream {
    clients: Vec<Client<HttpsConnector<HttpConnector>, Full<Bytes>>>,
}

impl Upstream {
    /// Trusts the authorities that the platform trusts.
    pub fn new(connect: Duration, lanes: usize) -> Result<Self, String> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(connect));
        http.set_keepalive(Some(Duration::from_secs(30)));
        let tls = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()
            .map_err(|it| format!("TLS cannot be set up: {it}"))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_FOR);
        builder.pool_max_idle_per_host(IDLE_CONNECTIONS);
        let clients = (0..lanes.max(1)).map(|_| builder.build(tls.clone()));
        Ok(Self { clients: clients.collect() })
    }

    /// Sends a request; the head of the answer must come within `limit`.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let Some(client) = self.clients.get(lanes::current() % self.clients.len().max(1)) else {
            return Err(UpstreamError::Unreachable("there is no client".to_owned()));
        };
        match tokio::time::timeout(limit, client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_connect() => Err(UpstreamError::Unreachable(cause(&error))),
            Ok(Err(error)) => Err(UpstreamError::Broken(cause(&error))),
            Err(_) => Err(UpstreamError::Timeout("begin to answer")),
        }
    }
}

/// The whole body of an answer.
pub async fn read_all(
    mut body: Incoming,
    limit_bytes: u64,
    limit: Duration,
) -> Result<Bytes, UpstreamError> {
    let (mut pieces, mut left) = (Vec::new(), Some(limit_bytes));
    let all = async {
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame?.into_data() else { continue };
            left = left.and_then(|it| it.checked_sub(piece.len() as u64));
            pieces.push(piece);
            if left.is_none() {
                break;
            }
        }
        Ok::<_, hyper::Error>(())
    };
    let end = tokio::time::timeout(limit, all).await;
    let seen = joined(pieces);
    match end {
        Ok(Ok(())) if left.is_none() => Err(UpstreamError::TooLarge { limit_bytes, seen }),
        Ok(Ok(())) => Ok(apart(seen)),
        Ok(Err(error)) => Err(UpstreamError::Cut { why: cause(&error), seen }),
        Err(_) => Err(UpstreamError::Unfinished { seen }),
    }
}

/// One piece is not copied.
fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        0 | 1 => pieces.pop().unwrap_or_default(),
        _ => Bytes::from(pieces.concat()),
    }
}

/// A whole answer that is none, though neither its status nor the connection says so: it is empty, ends before its JSON
/// does, is a web page, or an error alone. What else is no JSON is another matter.
#[must_use]
pub fn no_answer(body: &Bytes) -> Option<UpstreamError> {
    match body.trim_ascii().first() {
        None => return Some(UpstreamError::nothing()),
        Some(b'<') => return Some(UpstreamError::Page),
        Some(_) => {}
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        Ok(_) => error_alone::of_answer(body),
        Err(error) if error.is_eof() => {
            let why = "it ends before its JSON does".to_owned();
            Some(UpstreamError::Cut { why, seen: body.clone() })
        }
        Err(_) => None,
    }
}

/// The body by itself: as long as a part of a connection's buffer is kept, all of the buffer is, and the connection
/// reads into another one.
#[must_use]
pub(in crate::gateway) fn apart(body: Bytes) -> Bytes {
    if body.len() <= SMALL_BYTES { Bytes::copy_from_slice(&body) } else { body }
}

/// The innermost cause: what says why.
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

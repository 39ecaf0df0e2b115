//! Calls to a server: with the token, bounded in time and size, and tried again where that cannot do harm.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::config::ApiToken;

use super::address::Address;
use super::call::Call;
use super::error::{RemoteError, TokenOrigin};

/// How long a call may take in all.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
/// How often a call is tried.
const TRIES: u32 = 4;
/// The first pause between two tries; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest pause that a server may ask for.
const PAUSE_MAX_SECONDS: u64 = 10;
/// The longest answer that is read into memory.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Rows of a page, which is the most that a server gives at once.
const PAGE_ROWS: u32 = 200;
/// Rows of a list that are read at most.
pub const ROWS_MAX: usize = 10_000;

/// Speaks to one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    address: Address,
    token: Option<ApiToken>,
    origin: TokenOrigin,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
struct Page<T> {
    items: Vec<T>,
    #[serde(default)]
    next: Option<String>,
}

/// A refusal (RFC 9457, section 3).
#[derive(Debug, Default, Deserialize)]
struct ProblemBody {
    #[serde(default)]
    status: u16,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    help: String,
}

impl Client {
    pub(super) fn new(
        http: reqwest::Client,
        address: Address,
        (token, origin): (Option<ApiToken>, TokenOrigin),
    ) -> Self {
        Self { http, address, token, origin }
    }

    /// Which server.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where the token comes from.
    #[must_use]
    pub fn origin(&self) -> TokenOrigin {
        self.origin
    }

    /// Reads one thing.
    pub async fn fetch<T: DeserializeOwned>(&self, call: &Call) -> Result<T, RemoteError> {
        let response = self.send(call).await?;
        self.read(response).await
    }

    /// Does something whose answer does not matter.
    pub async fn order(&self, call: &Call) -> Result<(), RemoteError> {
        self.send(call).await.map(|_response| ())
    }

    /// Reads a list page by page, up to `limit` rows.
    pub async fn list<T: DeserializeOwned>(
        &self,
        call: &Call,
        limit: usize,
    ) -> Result<Vec<T>, RemoteError> {
        let mut rows: Vec<T> = Vec::new();
        let mut cursor = String::new();
        while rows.len() < limit {
            let left = u32::try_from(limit - rows.len()).unwrap_or(PAGE_ROWS);
            let call = call.clone().query("limit", left.min(PAGE_ROWS)).query("cursor", &cursor);
            let page: Page<T> = self.fetch(&call).await?;
            rows.extend(page.items);
            match page.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        rows.truncate(limit);
        Ok(rows)
    }

    /// Sends a call until it has an answer; an answer that refuses is an error.
    pub async fn send(&self, call: &Call) -> Result<Response, RemoteError> {
        // The same key for each try, so that the server does once what is asked once.
        let key = ulid::Ulid::generate().to_string().to_lowercase();
        let mut pause = PAUSE;
        for nth in 1.. {
            let tried = self.try_once(call, (&key, Some(CALL_TIMEOUT), &HeaderMap::new())).await;
            let (error, asked) = match tried {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            let wait = asked.unwrap_or(pause);
            let is_short = wait <= Duration::from_secs(PAUSE_MAX_SECONDS);
            if nth == TRIES || !error.is_passing() || !is_short {
                return Err(error);
            }
            tokio::time::sleep(wait + jitter(pause)).await;
            pause *= 2;
        }
        unreachable!("the last try returns")
    }

    /// Opens an answer that is read as it comes; tried once.
    pub async fn open(&self, call: &Call, headers: &HeaderMap) -> Result<Response, RemoteError> {
        self.try_once(call, ("", None, headers)).await.map_err(|(error, _)| error)
    }

    async fn try_once(
        &self,
        call: &Call,
        (key, timeout, headers): (&str, Option<Duration>, &HeaderMap),
    ) -> Result<Response, (RemoteError, Option<Duration>)> {
        let url = format!("{}{}", self.address, call.target);
        let mut request = self.http.request(call.method.clone(), url).headers(headers.clone());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.0));
        }
        if call.method == Method::POST && !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        match request.send().await {
            Ok(response) => self.judge(response).await,
            Err(error) => Err((RemoteError::of(&self.address, &error), None)),
        }
    }

    /// An answer that says yes, or why it is none.
    async fn judge(&self, response: Response) -> Result<Response, (RemoteError, Option<Duration>)> {
        let (status, server) = (response.status(), self.address.clone());
        let header = |name| response.headers().get(name).and_then(|it| it.to_str().ok());
        if status.is_success() {
            return Ok(response);
        }
        if status.is_redirection() {
            let target = header(LOCATION).unwrap_or("somewhere else").to_owned();
            return Err((RemoteError::Moved { server, target }, None));
        }
        let wait = header(RETRY_AFTER).and_then(|it| it.parse().ok()).map(Duration::from_secs);
        let is_problem = header(CONTENT_TYPE).is_some_and(|it| it.contains("json"));
        if !is_problem && ![502, 503, 504].contains(&status.as_u16()) {
            let reason = format!("status {status} without a reason");
            return Err((RemoteError::Foreign { server, reason }, None));
        }
        let text = bounded(response).await.unwrap_or_default();
        let problem: ProblemBody = serde_json::from_slice(&text).unwrap_or_default();
        Err((self.refusal(status, problem, wait), wait))
    }

    fn refusal(
        &self,
        status: StatusCode,
        problem: ProblemBody,
        wait: Option<Duration>,
    ) -> RemoteError {
        let server = self.address.clone();
        let is_sign_in = self.origin == TokenOrigin::Missing && !problem.help.contains("Bearer");
        if status == StatusCode::UNAUTHORIZED && !is_sign_in {
            return RemoteError::Unauthenticated { server, token: self.origin };
        }
        let ProblemBody { title, detail, mut help, .. } = problem;
        if help.is_empty() {
            help = match (status.as_u16(), wait) {
                (429 | 503, Some(wait)) => format!("try again in {} s", wait.as_secs()),
                (404, _) => {
                    "`trunkline whoami` shows your teams; what is of others is as if it were not \
                     there"
                        .to_owned()
                }
                _ => String::new(),
            };
        }
        let title = match (title.is_empty(), detail.is_empty()) {
            (true, true) => format!("`{server}` answers with status {status}"),
            (true, false) => detail,
            (false, true) => title,
            (false, false) => format!("{title}: {detail}"),
        };
        RemoteError::Refused { server, status: status.as_u16(), title, help }
    }

    /// A problem that came in a stream.
    pub(super) fn problem(&self, data: &str) -> RemoteError {
        let problem: ProblemBody = serde_json::from_str(data).unwrap_or_default();
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_GATEWAY);
        self.refusal(status, problem, None)
    }

    /// Reads an answer as JSON.
    pub async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, RemoteError> {
        let foreign =
            |reason: String| RemoteError::Foreign { server: self.address.clone(), reason };
        let bytes = bounded(response).await.map_err(|error| match error {
            TooMuch::Network(error) => RemoteError::of(&self.address, &error),
            TooMuch::Bytes => foreign("its answer has no end".to_owned()),
        })?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let begins = String::from_utf8_lossy(bytes.get(..1).unwrap_or_default()).into_owned();
            if ["{", "["].contains(&begins.as_str()) {
                foreign(format!("its answer is not what this version expects ({error})"))
            } else {
                foreign("its answer is not JSON".to_owned())
            }
        })
    }
}

enum TooMuch {
    Network(reqwest::Error),
    Bytes,
}

async fn bounded(mut response: Response) -> Result<Vec<u8>, TooMuch> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(TooMuch::Network)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(TooMuch::Bytes);
        }
    }
    Ok(bytes)
}

/// Up to half of a pause more, so that callers do not come back all at once.
fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(fastrand::f64() / 2.0)
}

//! A provider's batch interface over HTTP, with the key that a batch belongs to.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request};
use serde_json::Value;

use super::gather::key_digest;
use super::wire::{self, Remote};
use crate::gateway::call::upstream::{UpstreamError, read_all};
use crate::gateway::server::provider::KeyFilter;
use crate::gateway::server::{Core, Provider};
use crate::provider::said::plain;
use crate::provider::{Dialect, Operation};
use crate::store::spend::requests::queue::{KnownRemote, QueueBatchRow};

/// Until the head of an answer.
const HEAD_WITHIN: Duration = Duration::from_mins(2);
/// Until its end.
const BODY_WITHIN: Duration = Duration::from_mins(2);
/// The largest answer that is not a file of answers.
const BODY_BYTES: u64 = 8 << 20;
/// What is kept of a line that is too long: it says whose answer it is.
const BEGINNING_BYTES: usize = 4 << 10;
/// How long what was uploaded is kept there.
const FILE_SECONDS: u64 = 8 * 24 * 3600;
/// Pages of all batches that are looked through for one.
const PAGES: u32 = 100;
/// How far the clocks of a provider and of this machine may differ, in seconds.
const CLOCKS: i64 = 600;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may pass.
    Later(String),
    /// It will not.
    Never(String),
    /// There is no such thing.
    Gone,
}

impl Trouble {
    pub(super) fn message(&self) -> String {
        match self {
            Self::Later(why) | Self::Never(why) => why.clone(),
            Self::Gone => "the provider does not know the batch".to_owned(),
        }
    }
}

/// The provider of a batch.
pub(super) struct Side<'a> {
    core: &'a Core,
    pub(super) provider: &'a Provider,
    pub(super) dialect: Dialect,
    key: Option<&'a (HeaderName, HeaderValue)>,
    /// Its place among the provider's.
    turn: usize,
}

impl<'a> Side<'a> {
    /// The provider, with the key; none when one of them is no longer in the file.
    pub(super) fn of(core: &'a Core, row: &QueueBatchRow) -> Option<Self> {
        let place = core.providers.iter().position(|it| it.name == row.provider)?;
        let (provider, known) = (core.providers.get(place)?, core.known.get(place)?);
        let turn =
            (0..provider.keys.len()).find(|it| key_digest(provider, *it) == row.key_digest)?;
        let key = provider.keys.get(turn)?.as_ref();
        Some(Self { core, provider, dialect: known.dialect, key, turn })
    }

    /// Uploads what is to be done; gives its id.
    pub(super) async fn upload(&self, name: &str, content: &str) -> Result<String, Trouble> {
        let (kind, body) = wire::form(name, FILE_SECONDS, content);
        let value = self.send((Method::POST, "/v1/files"), Some((&kind, body))).await?;
        let id = value.get("id").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| Trouble::Later("the provider gives its file no id".to_owned()))
    }

    /// Hands a batch over.
    pub(super) async fn create(&self, body: String) -> Result<Remote, Trouble> {
        let value =
            self.send((Method::POST, self.path()), Some(("application/json", body))).await?;
        self.read(&value)
    }

    /// How a batch stands.
    pub(super) async fn find(&self, id: &str) -> Result<Remote, Trouble> {
        let value = self.send((Method::GET, &format!("{}/{id}", self.path())), None).await?;
        self.read(&value)
    }

    /// Asks for the end of a batch.
    pub(super) async fn cancel(&self, id: &str) -> Result<Remote, Trouble> {
        let path = format!("{}/{id}/cancel", self.path());
        let value = self.send((Method::POST, &path), Some(("application/json", "{}".to_owned())));
        self.read(&value.await?)
    }

    /// Removes a file; that this fails is no matter.
    pub(super) async fn remove(&self, file: &str) {
        let removed = self.send((Method::DELETE, &format!("/v1/files/{file}")), None).await;
        if let Err(trouble) = removed {
            tracing::debug!(file, why = trouble.message(), "a file of a batch is left");
        }
    }

    /// Looks for a batch that may have been handed over: by its name, or where the provider keeps none by its size and
    /// age, among those that nobody here knows. None when it is certain that it is not there.
    pub(super) async fn search(
        &self,
        row: &QueueBatchRow,
        known: &[KnownRemote],
    ) -> Result<Option<Remote>, Trouble> {
        let since = row.submitted_at.map_or(0, |it| it.0.div_euclid(1000)) - CLOCKS;
        let after = match self.dialect {
            Dialect::OpenAi => "after",
            Dialect::Anthropic => "after_id",
        };
        let (mut cursor, mut found, mut is_disputed) = (String::new(), None, false);
        for _ in 0..PAGES {
            let value = self
                .send((Method::GET, &format!("{}?limit=100{cursor}", self.path())), None)
                .await?;
            let page = value.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
            let page: Vec<_> =
                page.iter().filter_map(|it| wire::remote(self.dialect, it)).collect();
            let is_new = |it: &&Remote| it.created_at.is_none_or(|it| it >= since);
            let is_it = |it: &&Remote| match self.dialect {
                Dialect::OpenAi => it.name == row.id,
                Dialect::Anthropic => {
                    i64::try_from(it.requests).is_ok_and(|it| it == row.sent)
                        && !row.strangers.split(' ').any(|other| other == it.id)
                }
            };
            let owner = |it: &&Remote| known.iter().find(|known| known.remote == it.id);
            // One that another batch has found by its size may yet turn out to be this one.
            let is_guessed = |it: &Remote| owner(&it).is_some_and(|it| it.is_guessed);
            is_disputed |= page.iter().filter(is_new).filter(is_it).any(is_guessed);
            let is_it = |it: &&Remote| is_it(it) && owner(it).is_none();
            // The newest come first: the one that came next after the try is the likeliest.
            found = page.iter().filter(is_new).rfind(is_it).cloned().or(found);
            let has_more = value.get("has_more").and_then(Value::as_bool).unwrap_or_default();
            let last = page.last().filter(|it| has_more && is_new(it));
            if let Some(last) = last {
                cursor = format!("&{after}={}", last.id);
                continue;
            }
            if found.is_none() && is_disputed {
                let why = "a batch of its size is believed to be another until its answers come";
                return Err(Trouble::Later(why.to_owned()));
            }
            return Ok(found);
        }
        Err(Trouble::Later("the provider has too many batches to look through".to_owned()))
    }

    /// Answers, a line each, as they come.
    pub(super) async fn lines(&self, path: &str, line_bytes: u64) -> Result<Lines, Trouble> {
        let request = self.request((Method::GET, path), None)?;
        let response = self.core.upstream.send(request, HEAD_WITHIN).await;
        let response = response.map_err(|it| Trouble::Later(it.to_string()))?;
        match response.status().as_u16() {
            200 => {
                let most = usize::try_from(line_bytes).unwrap_or(usize::MAX);
                let key = self.provider.key_filter(self.turn);
                Ok(Lines::new(response.into_body(), (key, most)))
            }
            404 => Err(Trouble::Gone),
            status => Err(Trouble::Later(format!("the provider answers {status}"))),
        }
    }

    fn path(&self) -> &'static str {
        wire::path(self.dialect)
    }

    fn read(&self, value: &Value) -> Result<Remote, Trouble> {
        wire::remote(self.dialect, value)
            .ok_or_else(|| Trouble::Later("the provider's batch has no id".to_owned()))
    }

    fn request(
        &self,
        (method, path): (Method, &str),
        body: Option<(&str, String)>,
    ) -> Result<Request<Full<Bytes>>, Trouble> {
        let wrong = || Trouble::Never("the provider's address is wrong".to_owned());
        let mut request = Request::builder().method(method);
        request = request.uri(format!("{}{path}", self.provider.url));
        if let Some((kind, _)) = &body {
            request = request.header(CONTENT_TYPE, *kind);
        }
        if self.dialect == Dialect::Anthropic {
            request = request.header("anthropic-version", "2023-06-01");
        }
        if let Some((name, value)) = self.key {
            request = request.header(name, value);
        }
        let body = body.map(|it| Bytes::from(it.1)).unwrap_or_default();
        request.body(Full::new(body)).map_err(|_| wrong())
    }

    async fn send(
        &self,
        what: (Method, &str),
        body: Option<(&str, String)>,
    ) -> Result<Value, Trouble> {
        let later = |it: UpstreamError| Trouble::Later(it.to_string());
        let request = self.request(what, body)?;
        let response = self.core.upstream.send(request, HEAD_WITHIN).await.map_err(later)?;
        let status = response.status().as_u16();
        let body = read_all(response.into_body(), BODY_BYTES, BODY_WITHIN).await.map_err(later)?;
        let body = self.provider.without_key(self.turn, body);
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let said = value.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
        let said = plain(said, 300);
        match status {
            200..=299 => Ok(value),
            404 => Err(Trouble::Gone),
            // A key that is refused now may be mended.
            401 | 403 | 408 | 409 | 429 | 500.. => {
                Err(Trouble::Later(format!("the provider answers {status}: {said}")))
            }
            _ => Err(Trouble::Never(format!("the provider answers {status}: {said}"))),
        }
    }
}

/// What a batch is handed over with.
pub(super) fn order(operation: Operation, row: &QueueBatchRow, input: String) -> String {
    match operation.dialect() {
        Dialect::OpenAi => wire::order(operation, &row.file, &row.id),
        Dialect::Anthropic => input,
    }
}

/// Where the answers of a batch are.
pub(super) fn results(dialect: Dialect, remote: &Remote) -> Vec<String> {
    match dialect {
        Dialect::OpenAi => {
            remote.files.iter().map(|it| format!("/v1/files/{it}/content")).collect()
        }
        Dialect::Anthropic => vec![format!("{}/{}/results", wire::path(dialect), remote.id)],
    }
}

/// Lines of a body.
pub(super) struct Lines {
    body: Incoming,
    /// Takes the provider's key out.
    key: Option<KeyFilter>,
    held: Vec<u8>,
    /// So much of what is held has no end of a line.
    searched: usize,
    most: usize,
    /// The beginning of a line that is too long, until its end has come.
    beginning: Option<String>,
    is_over: bool,
}

/// A line of a body.
pub(super) enum Line {
    Whole(String),
    /// It is longer than it may be; this is how it begins.
    TooLong(String),
}

impl Lines {
    fn new(body: Incoming, (key, most): (Option<KeyFilter>, usize)) -> Self {
        Self { body, key, held: Vec::new(), searched: 0, most, beginning: None, is_over: false }
    }

    /// The next line that is not empty; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, Trouble> {
        loop {
            let unsearched = self.held.get(self.searched..).unwrap_or_default();
            let end = unsearched.iter().position(|it| *it == b'\n').map(|it| self.searched + it);
            if let Some(end) = end.or_else(|| self.is_over.then_some(self.held.len())) {
                let rest = self.held.split_off((end + 1).min(self.held.len()));
                let line = std::mem::replace(&mut self.held, rest);
                self.searched = 0;
                self.begin_too_long(&line);
                if let Some(beginning) = self.beginning.take() {
                    return Ok(Some(Line::TooLong(beginning)));
                }
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                match (line.is_empty(), self.is_over && self.held.is_empty()) {
                    (false, _) => return Ok(Some(Line::Whole(line))),
                    (true, true) => return Ok(None),
                    (true, false) => continue,
                }
            }
            let held = std::mem::take(&mut self.held);
            self.begin_too_long(&held);
            if self.beginning.is_none() {
                self.held = held;
            }
            self.searched = self.held.len();
            match tokio::time::timeout(BODY_WITHIN, self.body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let piece = frame.into_data().unwrap_or_default();
                    let piece = match &mut self.key {
                        Some(key) => key.push(&piece),
                        None => piece,
                    };
                    self.held.extend_from_slice(&piece);
                }
                Ok(None) => {
                    self.is_over = true;
                    let rest = self.key.take().and_then(KeyFilter::finish);
                    self.held.extend_from_slice(&rest.unwrap_or_default());
                }
                Ok(Some(Err(error))) => return Err(Trouble::Later(error.to_string())),
                Err(_) => return Err(Trouble::Later("the answers do not come".to_owned())),
            }
        }
    }

    /// Of a line that is too long no more is held than its beginning.
    fn begin_too_long(&mut self, held: &[u8]) {
        if held.len() > self.most && self.beginning.is_none() {
            let beginning = held.get(..BEGINNING_BYTES.min(held.len())).unwrap_or_default();
            self.beginning = Some(String::from_utf8_lossy(beginning).into_owned());
        }
    }
}

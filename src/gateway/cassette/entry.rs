//! One recorded call, and the call that looks for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{canonical, redact};

/// Headers that change what a provider answers.
const CHOSEN_HEADERS: [&str; 3] = ["anthropic-beta", "anthropic-version", "openai-beta"];

/// A call on its way to a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The path.
    pub path: String,
    /// The headers that count.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Value,
    /// The key of all of these.
    pub key: String,
}

impl Call {
    /// Of the path, all headers and the final body.
    #[must_use]
    pub fn new<'a>(
        path: &str,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        body: &[u8],
    ) -> Self {
        let headers = headers.map(|it| (it.0.to_ascii_lowercase(), it.1.to_owned()));
        let chosen = headers.filter(|it| CHOSEN_HEADERS.contains(&it.0.as_str()));
        let headers: BTreeMap<_, _> = chosen.collect();
        let body = serde_json::from_slice(body)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body).into_owned()));
        let list: Vec<_> = headers.clone().into_iter().collect();
        let key = canonical::key("POST", path, &list, &body);
        Self { path: path.to_owned(), headers, body, key }
    }

    /// As it is written down.
    #[must_use]
    pub fn entry(&self, repeat: u32, response: Response) -> Entry {
        Entry {
            path: self.path.clone(),
            key: self.key.clone(),
            repeat,
            headers: self.headers.clone(),
            request: self.body.clone(),
            response,
        }
    }
}

/// One recorded call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// The path.
    pub path: String,
    /// The key of what was sent, before it was redacted.
    pub key: String,
    /// Counts equal calls from 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub repeat: u32,
    /// The headers that count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// What was sent.
    pub request: Value,
    /// What came back.
    pub response: Response,
}

impl Entry {
    /// The key that a call with this request has; `None` where something was taken out, as it cannot be told then.
    #[must_use]
    pub fn key_of_request(&self) -> Option<String> {
        if redact::is_redacted(&canonical::text(&self.request))
            || self.headers.values().any(|it| redact::is_redacted(it))
        {
            return None;
        }
        let headers: Vec<_> = self.headers.clone().into_iter().collect();
        Some(canonical::key("POST", &self.path, &headers, &self.request))
    }

    /// Whether its request was changed by hand: it is found by its key, and that is of another request.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        self.key_of_request().is_some_and(|it| it != self.key)
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_one(repeat: &u32) -> bool {
    *repeat == 1
}

/// A recorded answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers that count.
    pub headers: BTreeMap<String, String>,
    /// What came.
    pub content: Content,
}

/// An answer as it is written: with one of the three.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    status: u16,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stream: Option<Vec<(u64, String)>>,
}

impl From<Response> for Written {
    fn from(response: Response) -> Self {
        let Response { status, headers, content } = response;
        let (json, text, stream) = match content {
            Content::Json(json) => (Some(json), None, None),
            Content::Text(text) => (None, Some(text), None),
            Content::Stream(pieces) => (None, None, Some(pieces)),
        };
        Self { status, headers, json, text, stream }
    }
}

impl TryFrom<Written> for Response {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let content = match (written.json, written.text, written.stream) {
            (Some(json), None, None) => Content::Json(json),
            (None, Some(text), None) => Content::Text(text),
            (None, None, Some(pieces)) => Content::Stream(pieces),
            _ => return Err("a response has one of `json`, `text` and `stream`"),
        };
        Ok(Self { status: written.status, headers: written.headers, content })
    }
}

/// What an answer consists of.
#[derive(Debug, Clone)]
pub enum Content {
    /// JSON, without the spaces between its parts.
    Json(Box<RawValue>),
    /// Any other text.
    Text(String),
    /// The pieces of a stream, each with the milliseconds after which it came.
    Stream(Vec<(u64, String)>),
}

impl Content {
    /// Of a body.
    #[must_use]
    pub fn of_body(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body).into_owned();
        match RawValue::from_string(without_spaces(&text)) {
            Ok(json) => Self::Json(json),
            Err(_) => Self::Text(text),
        }
    }
}

/// JSON in one line, every part as it was written.
fn without_spaces(json: &str) -> String {
    let (mut out, mut in_string, mut is_escaped) =
        (String::with_capacity(json.len()), false, false);
    for letter in json.chars() {
        if in_string {
            in_string = is_escaped || letter != '"';
            is_escaped = !is_escaped && letter == '\\';
        } else if letter.is_ascii_whitespace() {
            continue;
        } else {
            in_string = letter == '"';
        }
        out.push(letter);
    }
    out
}

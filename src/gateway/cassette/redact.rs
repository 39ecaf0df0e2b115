//! Takes secrets out of what is written into cassettes: those that are known, and what looks like one.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value;
use serde_json::value::RawValue;

use super::entry::{Call, Content, Entry};
use crate::gateway::guard::pii::{self, secret};

/// What stands where a secret was. It fits into JSON texts.
const PLACEHOLDER: &str = "[redacted]";
/// Secrets shorter than this would take words out.
const SHORTEST: usize = 8;

/// Whether something was taken out of a text.
#[must_use]
pub fn is_redacted(text: &str) -> bool {
    text.contains(PLACEHOLDER)
}

/// Takes secrets out.
#[derive(Debug, Clone)]
pub struct Redactor {
    secrets: Arc<[String]>,
    pattern: Option<Regex>,
    /// Keys that were minted here: they work, whoever has them.
    own: Option<Regex>,
}

impl Redactor {
    /// With the secrets that are known.
    #[must_use]
    pub fn new(secrets: Vec<String>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|it| it.len() >= SHORTEST).collect();
        // The longest first, so that no rest of one is left by another.
        secrets.sort_by_key(|it| std::cmp::Reverse(it.len()));
        let pattern = format!("{}|{}", secret::PATTERNS, pii::EMAIL);
        let (pattern, own) = (Regex::new(&pattern).ok(), Regex::new(secret::OWN).ok());
        Self { secrets: secrets.into(), pattern, own }
    }

    /// An entry without secrets. A secret that is spread over pieces of a stream is taken out as well:
    /// the pieces are joined then.
    #[must_use]
    pub fn entry(&self, entry: Entry) -> Entry {
        let mut entry = entry;
        self.value(&mut entry.request);
        for value in entry.headers.values_mut().chain(entry.response.headers.values_mut()) {
            *value = self.text(value);
        }
        entry.response.content = match entry.response.content {
            Content::Text(text) => Content::Text(self.text(&text)),
            Content::Json(json) => Content::of_body(self.text(json.get()).as_bytes()),
            Content::Stream(pieces) => Content::Stream(self.pieces(&pieces)),
        };
        entry
    }

    /// A call as it would be written down; its key stays that of what is sent.
    #[must_use]
    pub fn call(&self, call: &Call) -> Call {
        let mut call = call.clone();
        self.value(&mut call.body);
        for value in call.headers.values_mut() {
            *value = self.text(value);
        }
        call
    }

    fn pieces(&self, pieces: &[(u64, String)]) -> Vec<(u64, String)> {
        let clean: Vec<_> = pieces.iter().map(|it| (it.0, self.text(&it.1))).collect();
        let whole: String = clean.iter().map(|it| it.1.as_str()).collect();
        let redacted = self.text(&whole);
        if redacted == whole {
            return clean;
        }
        vec![(pieces.last().map_or(0, |it| it.0), redacted)]
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|it| self.value(it)),
            Value::Object(members) => members.values_mut().for_each(|it| self.value(it)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A text without the secrets that are known, and without keys of ours.
    #[must_use]
    pub fn known(&self, text: &str) -> String {
        let known = self.secrets.iter().filter(|it| text.contains(it.as_str()));
        let text =
            known.fold(text.to_owned(), |it, secret| it.replace(secret.as_str(), PLACEHOLDER));
        match &self.own {
            Some(own) if own.is_match(&text) => own.replace_all(&text, PLACEHOLDER).into_owned(),
            Some(_) | None => text,
        }
    }

    /// A text without secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let text = self.known(text);
        match &self.pattern {
            Some(pattern) => pattern.replace_all(&text, PLACEHOLDER).into_owned(),
            None => text,
        }
    }
}

/// Headers of answers that replays need.
#[must_use]
pub fn chosen_headers<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<String, String> {
    let chosen = headers.filter(|it| it.0 == "content-type");
    chosen.map(|it| (it.0.to_owned(), it.1.to_owned())).collect()
}

/// JSON as it is.
#[must_use]
pub fn raw(json: &RawValue) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(json.get().as_bytes())
}

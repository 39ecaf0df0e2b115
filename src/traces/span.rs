//! One span of a trace. Its ids follow from what it stands for, so that one that is sent twice is the same.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::model::{RunId, Timestamp};

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanStatus {
    /// Well.
    Ok,
    /// Badly, and why.
    Error(String),
    /// Neither: it was skipped or stopped.
    Unset,
}

/// Names and values.
pub(super) type Attributes = Vec<(&'static str, Value)>;
/// Something that happens in a span: when, what, and more of it.
pub(super) type Moment = (Timestamp, String, Attributes);

/// One span.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// 32 hexadecimal digits: the run's own id.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The span that it is part of, or empty.
    pub parent_id: String,
    /// What it stands for.
    pub name: String,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How.
    pub status: SpanStatus,
    /// More of it.
    pub attributes: Attributes,
    /// What happened in it.
    pub events: Vec<Moment>,
}

impl Span {
    /// A span of a run, named by its path in it.
    pub(super) fn new(run: &RunId, path: &str, parent: &str, name: String) -> Self {
        Self {
            trace_id: trace_id(run),
            span_id: span_id(run, path),
            parent_id: if parent.is_empty() { String::new() } else { span_id(run, parent) },
            name,
            began: Timestamp(0),
            ended: Timestamp(0),
            status: SpanStatus::Unset,
            attributes: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(super) fn with(&mut self, name: &'static str, value: impl Into<Value>) {
        let value = value.into();
        if value != json!("") && !value.is_null() {
            self.attributes.push((name, value));
        }
    }
}

/// A ULID is 128 bits, as the id of a trace is: whoever has one can find the other.
fn trace_id(run: &RunId) -> String {
    match ulid::Ulid::from_string(&run.0) {
        Ok(id) => format!("{:032x}", id.0),
        Err(_) => hex::encode(Sha256::digest(run.0.as_bytes())).chars().take(32).collect(),
    }
}

fn span_id(run: &RunId, path: &str) -> String {
    let digest = Sha256::digest(format!("{run}/{path}").as_bytes());
    hex::encode(digest).chars().take(16).collect()
}

//! One span of a trace. Its ids follow from what it stands for, so that one that is sent twice is the same.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::model::{RunId, SpanId, Timestamp, TraceId};

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

/// Which side of a call a span is, as the wire has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// None.
    Internal = 1,
    /// The one that was called.
    Server = 2,
    /// The one that calls.
    Client = 3,
    /// The one that leaves a message.
    Producer = 4,
    /// The one that takes it.
    Consumer = 5,
}

/// A moment, in microseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub i64);

impl From<Timestamp> for Micros {
    fn from(at: Timestamp) -> Self {
        Self(at.0.saturating_mul(1000))
    }
}

/// Names and values.
pub type Attributes = Vec<(Cow<'static, str>, Value)>;
/// Something that happens in a span: when, what, and more of it.
pub(super) type Moment = (Micros, String, Attributes);

/// Who has made a span, when that was not this program.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Maker {
    /// The span's name here, by which what was said in it is found.
    pub id: String,
    /// The name of the service.
    pub service: String,
    /// More of it.
    pub resource: Attributes,
    /// The library that has made the span.
    pub scope: String,
    /// Other spans that the span has to do with: trace and span.
    pub links: Vec<(String, String)>,
    /// Name of the team whose it is.
    pub team: String,
}

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
    /// Which side of a call it is.
    pub kind: SpanKind,
    /// When it began.
    pub began: Micros,
    /// When it ended.
    pub ended: Micros,
    /// How.
    pub status: SpanStatus,
    /// More of it.
    pub attributes: Attributes,
    /// What happened in it.
    pub events: Vec<Moment>,
    /// Who has made it; `None` for what happened here.
    pub maker: Option<Box<Maker>>,
}

impl Span {
    /// A span of a run, named by its path in it.
    pub(super) fn new(run: &RunId, path: &str, parent: &str, name: String) -> Self {
        let of = |path: &str| SpanId::of_run(run, path).to_string();
        Self {
            trace_id: TraceId::of_run(run).to_string(),
            span_id: of(path),
            parent_id: if parent.is_empty() { String::new() } else { of(parent) },
            name,
            kind: SpanKind::Internal,
            began: Micros(0),
            ended: Micros(0),
            status: SpanStatus::Unset,
            attributes: Vec::new(),
            events: Vec::new(),
            maker: None,
        }
    }

    pub(super) fn with(&mut self, name: &'static str, value: impl Into<Value>) {
        let value = value.into();
        if value != json!("") && !value.is_null() {
            self.attributes.push((name.into(), value));
        }
    }
}

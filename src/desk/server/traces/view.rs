//! Calls to models and their trees, as they are told.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::desk::server::money::usd;
pub use crate::gateway::ledger::trail::content::{Content, Message, Part};
use crate::model::UsdNanos;
use crate::model::trace::received;
use crate::store::spend::requests::spans::SpanRow;
use crate::store::spend::requests::traces::{TraceContentRow, TraceRow};
use crate::traces::{Attributes, Span, SpanKind, SpanStatus, call_spans, received_span};

/// Where spans of apps are from.
const APP: &str = "app";

/// One call to a model, or the first span of an app in a trace.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct TraceView {
    /// Id of the request, as its `x-request-id` said; of a span of an app, its name here (`spn_…`).
    pub id: String,
    /// The trace that it is part of.
    pub trace: String,
    /// Its span.
    pub span: String,
    /// The span that it was made in, or empty.
    pub parent: String,
    /// When it began, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// Name of the key that it came with.
    pub key: String,
    /// Name of the team whose it was; this and what follows may be empty.
    pub team: String,
    /// The project: `team/name`.
    pub project: String,
    /// Id of the run.
    pub run: String,
    /// Key of the stage.
    pub stage: String,
    /// The endpoint of a deployed app.
    pub endpoint: String,
    /// What it was, such as `chat/completions`; of a span of an app, what it stands for, such as `agent`.
    pub operation: String,
    /// The service that has sent the span of an app; empty for a call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// What the span of an app is called; empty for a call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Who served it, or was asked last.
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// The model that answered.
    pub answered_by: String,
    /// `live`, `cache` or `cassette`; `gateway` for what was refused before it was sent, `app` for a span of an app.
    pub origin: String,
    /// The status that the client got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
    /// What went wrong: one word, or a status; empty for nothing.
    pub error: String,
    /// How often it was sent.
    pub attempts: i64,
    /// Tokens of prompts.
    pub input_tokens: i64,
    /// Tokens of answers.
    pub output_tokens: i64,
    /// Dollars.
    pub cost_usd: String,
    /// Dollars that it would have cost.
    pub avoided_usd: String,
    /// Milliseconds until the first piece of the answer; absent when none came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<f64>,
    /// Milliseconds until the end.
    pub total_ms: f64,
    /// What was not as usual: words.
    pub flags: Vec<String>,
}

impl From<TraceRow> for TraceView {
    fn from(row: TraceRow) -> Self {
        Self {
            id: row.id,
            trace: row.trace,
            span: row.span,
            parent: row.parent,
            at: row.at.0,
            key: row.key_name,
            team: row.owner.team,
            project: row.owner.project,
            run: row.owner.run,
            stage: row.owner.stage,
            endpoint: row.owner.endpoint,
            operation: row.operation,
            service: String::new(),
            name: String::new(),
            provider: row.provider,
            model: row.model,
            answered_by: row.answered_by,
            origin: row.origin,
            status: row.status,
            error: row.error,
            attempts: row.attempts,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            cost_usd: usd(row.cost),
            avoided_usd: usd(row.avoided),
            first_token_ms: row.first_token_us.map(milliseconds),
            total_ms: milliseconds(row.total_us),
            flags: row.flags.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

impl TraceView {
    /// Whether it is a call to a model through the gateway.
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.origin != APP
    }
}

impl From<SpanRow> for TraceView {
    fn from(row: SpanRow) -> Self {
        Self {
            id: row.id,
            trace: row.trace,
            span: row.span,
            parent: row.parent,
            at: row.at.0,
            key: row.key_name,
            team: row.owner.team,
            project: row.owner.project,
            run: row.owner.run,
            stage: row.owner.stage,
            endpoint: row.owner.endpoint,
            operation: row.operation,
            service: row.service,
            name: row.name,
            provider: row.provider,
            model: row.model,
            origin: APP.to_owned(),
            status: row.status,
            error: row.error,
            cost_usd: usd(UsdNanos(0)),
            avoided_usd: usd(UsdNanos(0)),
            total_ms: milliseconds(row.total_us),
            ..Self::default()
        }
    }
}

/// A span of a trace.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct SpanView {
    /// Its id.
    pub span: String,
    /// The span that it is part of, or empty.
    pub parent: String,
    /// Its name here (`spn_…`), if an app has sent it: `contents` has what was said in it by this.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The service that has sent it; empty for the gateway's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// What it stands for, of an app: `agent`, `tool`, `retrieval`, `model`, `http`, `rpc`, `messaging`, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub operation: String,
    /// What it is called.
    pub name: String,
    /// `server`, `client`, `producer`, `consumer` or `internal`.
    pub kind: String,
    /// When it began, in microseconds since 1970-01-01 UTC.
    pub at_us: i64,
    /// How long it took, in microseconds.
    pub took_us: i64,
    /// `ok`, `error` or `unset`.
    pub status: String,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// More of it, in the words of OpenTelemetry's conventions.
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    /// What the service says of itself.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub resource: Map<String, Value>,
    /// What happened in it.
    pub events: Vec<EventView>,
}

impl SpanView {
    /// Whether an app has sent it.
    #[must_use]
    pub fn is_of_app(&self) -> bool {
        !self.id.is_empty()
    }
}

/// Something that happened in a span.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct EventView {
    /// When, in microseconds since 1970-01-01 UTC.
    pub at_us: i64,
    /// What.
    pub name: String,
    /// More of it.
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
}

impl EventView {
    /// More of it as people read it: `name search, id call_1`.
    #[must_use]
    pub fn words(&self) -> String {
        let said = self.attributes.iter().map(|(name, value)| {
            let name = name.rsplit('.').next().unwrap_or_default();
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name} {value}")
        });
        said.collect::<Vec<_>>().join(", ")
    }
}

impl From<Span> for SpanView {
    fn from(span: Span) -> Self {
        let (status, message) = match span.status {
            SpanStatus::Ok => ("ok", String::new()),
            SpanStatus::Error(message) => ("error", message),
            SpanStatus::Unset => ("unset", String::new()),
        };
        let kind = match span.kind {
            SpanKind::Internal => "internal",
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
        };
        let map = |it: Attributes| -> Map<String, Value> {
            it.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
        };
        let events = span.events.into_iter();
        let maker = span.maker.map(|it| *it).unwrap_or_default();
        let attributes = map(span.attributes);
        let is_of_app = !maker.id.is_empty();
        let operation = if is_of_app { received::operation(&attributes) } else { "" };
        Self {
            id: maker.id,
            service: maker.service,
            operation: operation.to_owned(),
            resource: map(maker.resource),
            span: span.span_id,
            parent: span.parent_id,
            name: span.name,
            kind: kind.to_owned(),
            at_us: span.began.0,
            took_us: span.ended.0.saturating_sub(span.began.0),
            status: status.to_owned(),
            message,
            attributes,
            events: events
                .map(|(at, name, more)| EventView { at_us: at.0, name, attributes: map(more) })
                .collect(),
        }
    }
}

/// What was said in a call.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct ContentView {
    /// `redacted` or `full`.
    pub kept: String,
    /// Whether it was longer than what is kept.
    pub is_cut: bool,
    /// What was asked and answered: `input` and `output`, messages of parts.
    #[schema(value_type = Object)]
    pub content: Content,
}

impl ContentView {
    fn read(row: &TraceContentRow) -> Option<Self> {
        let content = serde_json::from_str(&row.content).ok()?;
        Some(Self { kept: row.kept.clone(), is_cut: row.is_cut, content })
    }
}

/// One call, or all of one trace, as a tree.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct TreeView {
    /// The trace.
    pub trace: String,
    /// Its calls to models, oldest first.
    pub calls: Vec<TraceView>,
    /// Whether there are more of them, or of the spans of apps.
    pub is_cut: bool,
    /// Spans: each call's own, then each time that it was sent; and then those that apps have sent.
    pub spans: Vec<SpanView>,
    /// What was said, by id of the request or of the span, where it is kept and you may read it.
    pub contents: BTreeMap<String, ContentView>,
}

impl TreeView {
    /// Of calls, newest first, and spans of apps, oldest first; of each one more than are shown may be there.
    pub(super) fn of(
        mut rows: Vec<TraceRow>,
        mut received: Vec<SpanRow>,
        contents: &[TraceContentRow],
    ) -> Self {
        let is_cut =
            rows.len() > super::CALLS_MAX as usize || received.len() > super::SPANS_MAX as usize;
        rows.truncate(super::CALLS_MAX as usize);
        received.truncate(super::SPANS_MAX as usize);
        rows.reverse();
        let trace = rows.first().map(|it| &it.trace).or(received.first().map(|it| &it.trace));
        let read = |it: &TraceContentRow| Some((it.id.clone(), ContentView::read(it)?));
        Self {
            trace: trace.cloned().unwrap_or_default(),
            is_cut,
            spans: spans_of(&rows, &received),
            contents: contents.iter().filter_map(read).collect(),
            calls: rows.into_iter().map(TraceView::from).collect(),
        }
    }

    /// How many of its spans apps have sent.
    #[must_use]
    pub fn of_apps(&self) -> usize {
        self.spans.iter().filter(|it| it.is_of_app()).count()
    }
}

/// All spans. Who knows the id of another team's trace can send spans with it; they stand beside what is that team's,
/// and never below it or in its place.
fn spans_of(rows: &[TraceRow], received: &[SpanRow]) -> Vec<SpanView> {
    let (mut spans, mut owners) = (Vec::new(), BTreeMap::<String, &str>::new());
    for row in rows {
        for span in call_spans(row) {
            owners.entry(span.span_id.clone()).or_insert(&row.owner.team);
            spans.push(SpanView::from(span));
        }
    }
    let is_caller = |it: &&SpanRow| rows.iter().any(|row| row.owner.team == it.owner.team);
    let (first, others): (Vec<_>, Vec<_>) = received.iter().partition(is_caller);
    let mut taken = Vec::new();
    for row in first.into_iter().chain(others) {
        let owner = owners.entry(row.span.clone());
        if let std::collections::btree_map::Entry::Vacant(owner) = owner {
            owner.insert(&row.owner.team);
            taken.push(row);
        }
    }
    for row in taken {
        let mut span = received_span(row);
        if owners.get(&row.parent).is_some_and(|it| *it != row.owner.team) {
            span.parent_id.clear();
        }
        spans.push(SpanView::from(span));
    }
    spans
}

fn milliseconds(us: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a call is far shorter than 2^53 us")]
    let ms = us as f64 / 1000.0;
    ms
}

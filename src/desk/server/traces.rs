//! What happened in calls to models: found, listed and shown as trees.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::budgets::view::usd;
pub use crate::gateway::ledger::trail::content::{Content, Message, Part};
use crate::http::{App, CursorForm, Page, PageQuery, Problem, Visitor};
use crate::model::{Role, Timestamp, UsdNanos};
use crate::store::spend::traces::{Ended, TraceContentRow, TraceFilter, TraceRow};
use crate::store::{Store, StoreError};
use crate::traces::{Span, SpanKind, SpanStatus, call_spans};

/// Digits of a moment in a cursor.
const DIGITS: usize = 13;
/// Calls of one trace that are shown.
const CALLS_MAX: u32 = 300;
/// What every id of a request begins with.
const REQUEST: &str = "req_";
/// Digits of a trace's id.
const TRACE_DIGITS: usize = 32;

/// Which calls; what is left out does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TraceQuery {
    /// Only of this trace: 32 hexadecimal digits.
    pub trace: Option<String>,
    /// Only of this team.
    pub team: Option<String>,
    /// Only of this project: `team/name`.
    pub project: Option<String>,
    /// Only of this run: its id.
    pub run: Option<String>,
    /// Only of this stage.
    pub stage: Option<String>,
    /// Only of this endpoint of deployed apps.
    pub endpoint: Option<String>,
    /// Only of this model: the one that was asked for.
    pub model: Option<String>,
    /// Only of this provider.
    pub provider: Option<String>,
    /// `ok`, `error`, the status that the client got such as `429`, or what went wrong, such as `guardrail`.
    pub status: Option<String>,
    /// Not shorter than so many milliseconds.
    #[param(value_type = Option<i64>)]
    pub min_ms: Option<String>,
    /// Not cheaper than so many dollars, such as `0.01`.
    pub min_usd: Option<String>,
    /// From this moment on, in milliseconds since 1970-01-01 UTC.
    #[param(value_type = Option<i64>)]
    pub since: Option<String>,
    /// Before this moment.
    #[param(value_type = Option<i64>)]
    pub until: Option<String>,
}

impl TraceQuery {
    /// What is asked for, as pairs of an address.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, &str)> {
        let pairs = [
            ("trace", &self.trace),
            ("team", &self.team),
            ("project", &self.project),
            ("run", &self.run),
            ("stage", &self.stage),
            ("endpoint", &self.endpoint),
            ("model", &self.model),
            ("provider", &self.provider),
            ("status", &self.status),
            ("min_ms", &self.min_ms),
            ("min_usd", &self.min_usd),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let said = pairs.into_iter().filter_map(|(name, it)| Some((name, it.as_deref()?)));
        said.filter(|it| !it.1.is_empty()).collect()
    }

    /// What the store is asked, whoever asks.
    pub fn filter(&self) -> Result<TraceFilter, String> {
        Ok(TraceFilter {
            teams: self.team.clone().filter(|it| !it.is_empty()).map(|it| vec![it]),
            trace: word(self.trace.as_deref()).to_ascii_lowercase(),
            project: word(self.project.as_deref()),
            run: word(self.run.as_deref()),
            stage: word(self.stage.as_deref()),
            endpoint: word(self.endpoint.as_deref()),
            model: word(self.model.as_deref()),
            provider: word(self.provider.as_deref()),
            ended: ended(&word(self.status.as_deref())),
            min_us: number(self.min_ms.as_deref(), "min_ms")?.map(|it| it.saturating_mul(1000)),
            min_cost: dollars(&word(self.min_usd.as_deref()))?,
            since: number(self.since.as_deref(), "since")?.map(Timestamp),
            until: number(self.until.as_deref(), "until")?.map(Timestamp),
            ..TraceFilter::default()
        })
    }
}

fn word(text: Option<&str>) -> String {
    text.map(str::trim).unwrap_or_default().to_owned()
}

fn number(text: Option<&str>, name: &str) -> Result<Option<i64>, String> {
    match word(text) {
        text if text.is_empty() => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("`{name}` is a number, not `{text}`")),
    }
}

fn ended(word: &str) -> Ended {
    match (word, word.parse()) {
        ("", _) => Ended::Anyhow,
        ("ok", _) => Ended::Well,
        ("error", _) => Ended::Badly,
        (_, Ok(status)) => Ended::Status(status),
        (word, Err(_)) => Ended::With(word.to_owned()),
    }
}

fn dollars(text: &str) -> Result<Option<UsdNanos>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || format!("`min_usd` is a number of dollars such as `0.01`, not `{text}`");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 9 || (whole.len() + part.len() == 0) {
        return Err(wrong());
    }
    let nanos = format!("{whole}{part:0<9}").parse().map_err(|_| wrong())?;
    Ok(Some(UsdNanos(nanos)))
}

/// One call.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct TraceView {
    /// Id of the request, as its `x-request-id` said.
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
    /// What it was, such as `chat/completions`.
    pub operation: String,
    /// Who served it, or was asked last.
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// The model that answered.
    pub answered_by: String,
    /// `live`, `cache` or `cassette`; `gateway` for what was refused before it was sent.
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

/// A span of a trace.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct SpanView {
    /// Its id.
    pub span: String,
    /// The span that it is part of, or empty.
    pub parent: String,
    /// What it stands for.
    pub name: String,
    /// `server`, `client` or `internal`.
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
    /// What happened in it.
    pub events: Vec<EventView>,
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
        };
        let map = |it: Vec<(&'static str, Value)>| {
            it.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        };
        let events = span.events.into_iter();
        Self {
            span: span.span_id,
            parent: span.parent_id,
            name: span.name,
            kind: kind.to_owned(),
            at_us: span.began.0,
            took_us: span.ended.0.saturating_sub(span.began.0),
            status: status.to_owned(),
            message,
            attributes: map(span.attributes),
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
    /// Its calls, oldest first.
    pub calls: Vec<TraceView>,
    /// Whether there are more of them: the newest are here.
    pub is_cut: bool,
    /// Their spans: each call's own, then each time that it was sent.
    pub spans: Vec<SpanView>,
    /// What was said, by id of the request, where it is kept and you may read it.
    pub contents: BTreeMap<String, ContentView>,
}

impl TreeView {
    /// Of calls, newest first, of which one more than [`CALLS_MAX`] may be there.
    fn of(mut rows: Vec<TraceRow>, contents: &[TraceContentRow]) -> Self {
        let is_cut = rows.len() > CALLS_MAX as usize;
        rows.truncate(CALLS_MAX as usize);
        rows.reverse();
        let spans = rows.iter().flat_map(call_spans).map(SpanView::from).collect();
        let read = |it: &TraceContentRow| Some((it.id.clone(), ContentView::read(it)?));
        Self {
            trace: rows.first().map(|it| it.trace.clone()).unwrap_or_default(),
            is_cut,
            spans,
            contents: contents.iter().filter_map(read).collect(),
            calls: rows.into_iter().map(TraceView::from).collect(),
        }
    }
}

/// Calls that the caller may know of, newest first.
pub async fn list(
    app: &App,
    visitor: &Visitor,
    (query, page): (TraceQuery, PageQuery),
) -> Result<Page<TraceView>, Problem> {
    let mut filter = query.filter().map_err(Problem::bad_request)?;
    let page = page.checked(CursorForm::Numbered(DIGITS, '-'))?;
    filter.teams = teams(app, visitor, Role::Viewer, filter.teams).await?;
    let before = page.cursor.as_deref().and_then(|it| it.split_once('-'));
    let before = before.and_then(|(at, id)| Some((Timestamp(at.parse().ok()?), id.to_owned())));
    let filter = TraceFilter { before, limit: page.limit() + 1, ..filter };
    let rows = app.store.list_traces(&filter).await?;
    let page = Page::new(rows, page.limit(), |it| format!("{:0DIGITS$}-{}", it.at.0, it.id));
    let items = page.items.into_iter().map(TraceView::from).collect();
    Ok(Page { items, next: page.next })
}

/// The names of the teams whose calls the caller may know of, of those that are asked for; `None` for all, with the
/// calls of nobody.
async fn teams(
    app: &App,
    visitor: &Visitor,
    needed: Role,
    asked: Option<Vec<String>>,
) -> Result<Option<Vec<String>>, Problem> {
    let Some(ids) = visitor.0.teams_as(needed) else { return Ok(asked) };
    let mut known = app.store.list_teams().await?;
    known.retain(|it| ids.contains(&it.id));
    let names = known.into_iter().map(|it| it.name);
    let is_asked = |it: &String| asked.as_ref().is_none_or(|asked| asked.contains(it));
    Ok(Some(names.filter(is_asked).collect()))
}

/// A call by the id of its request, or all calls of a trace.
pub async fn show(app: &App, visitor: &Visitor, id: &str) -> Result<TreeView, Problem> {
    let viewed = teams(app, visitor, Role::Viewer, None).await?;
    let rows = find(&app.store, id, viewed).await?;
    if rows.is_empty() {
        return Err(Problem::not_found("this trace").with_help(
            "A trace is named by the id of a request (`req_…`) or of the trace (32 hexadecimal digits); it is kept \
             for as long as the server says, and under load not every call is traced.",
        ));
    }
    // What people said is for those who work on it.
    let read = teams(app, visitor, Role::Developer, None).await?;
    let may_read = |it: &&TraceRow| read.as_ref().is_none_or(|all| all.contains(&it.owner.team));
    let readable: Vec<_> = rows.iter().filter(may_read).map(|it| it.id.clone()).collect();
    let contents = app.store.list_trace_contents(&readable).await?;
    Ok(TreeView::of(rows, &contents))
}

/// The same on the machine of the store; `None` when there is no such trace.
pub async fn show_here(store: &Store, id: &str) -> Result<Option<TreeView>, StoreError> {
    let rows = find(store, id, None).await?;
    let ids: Vec<_> = rows.iter().map(|it| it.id.clone()).collect();
    let contents = store.list_trace_contents(&ids).await?;
    Ok((!rows.is_empty()).then(|| TreeView::of(rows, &contents)))
}

async fn find(
    store: &Store,
    id: &str,
    teams: Option<Vec<String>>,
) -> Result<Vec<TraceRow>, StoreError> {
    let id = id.to_ascii_lowercase();
    if id.starts_with(REQUEST) {
        let is_seen = |it: &TraceRow| teams.as_ref().is_none_or(|all| all.contains(&it.owner.team));
        return Ok(store.find_trace(&id).await?.filter(is_seen).into_iter().collect());
    }
    if id.len() != TRACE_DIGITS {
        return Ok(Vec::new());
    }
    let filter = TraceFilter { trace: id, teams, limit: CALLS_MAX + 1, ..TraceFilter::default() };
    store.list_traces(&filter).await
}

fn milliseconds(us: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a call is far shorter than 2^53 us")]
    let ms = us as f64 / 1000.0;
    ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_word_by_word() {
        let query = TraceQuery {
            status: Some("429".to_owned()),
            min_usd: Some("0.01".to_owned()),
            min_ms: Some("250".to_owned()),
            team: Some(String::new()),
            ..TraceQuery::default()
        };
        let filter = query.filter().unwrap();
        assert_eq!(filter.ended, Ended::Status(429));
        assert_eq!((filter.min_cost, filter.min_us), (Some(UsdNanos(10_000_000)), Some(250_000)));
        assert_eq!(filter.teams, None);
        assert_eq!(ended("ok"), Ended::Well);
        assert_eq!(ended("guardrail"), Ended::With("guardrail".to_owned()));
        assert_eq!(dollars("2"), Ok(Some(UsdNanos(2_000_000_000))));
        for wrong in [".", "-1", "1e3", "0.0000000001", "99999999999"] {
            assert!(dollars(wrong).is_err(), "{wrong}");
        }
        let wrong = TraceQuery { min_ms: Some("fast".to_owned()), ..TraceQuery::default() };
        assert_eq!(wrong.filter().unwrap_err(), "`min_ms` is a number, not `fast`");
    }
}

//! What happened in calls to models, and in the apps that make them: found, listed and shown as trees.

mod view;

use std::ops::RangeInclusive;

use crate::http::{App, CursorForm, Page, PageQuery, Problem, Visitor};
use crate::model::{Role, Timestamp, UsdNanos};
use crate::store::spend::requests::spans::SpanRow;
use crate::store::spend::requests::traces::{Ended, TraceFilter, TraceRow};
use crate::store::{Store, StoreError};

pub use view::{Content, ContentView, EventView, Message, Part, SpanView, TraceView, TreeView};

/// Digits of a moment in a cursor.
const DIGITS: usize = 13;
/// Calls of one trace that are shown.
const CALLS_MAX: u32 = 300;
/// Spans of apps of one trace that are shown.
const SPANS_MAX: u32 = 1_000;
/// What every id of a request begins with, and of a span of an app.
const REQUEST: &str = "req_";
const SPAN: &str = "spn_";
/// Digits of a trace's id.
const TRACE_DIGITS: usize = 32;
/// How calls end, in one word: well, badly, or as the gateway says what went wrong.
const ENDINGS: [&str; 18] = [
    "ok",
    "error",
    "budget_exceeded",
    "guardrail",
    "cassette_miss",
    "upstream_failed",
    "upstream_timeout",
    "unavailable",
    "store_unavailable",
    "rate_limit_exceeded",
    "queue_full",
    "request_too_large",
    "invalid_api_key",
    "forbidden",
    "not_found",
    "unreadable",
    "cut",
    "lost",
];
/// Why nothing may be found of a call. Which calls have reserved what is in the memory of their process alone, so that
/// none waits for the database.
pub const UNTRACED: &str = "A call that was under way in a process that died leaves no trace: what its budgets had set aside \
                            is in `trunkline spend` a minute later, as of processes that died.";
/// The statuses that HTTP has.
const STATUSES: RangeInclusive<i64> = 100..=599;

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
    /// Only of this pipeline, of whatever project.
    pub pipeline: Option<String>,
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
    /// `ok`, `error`, the status that the client got such as `429`, or what went wrong, such as `guardrail` or an
    /// app's `TimeoutError`.
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
            ("pipeline", &self.pipeline),
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

    /// Refuses an ending that nothing can have, and says which are known.
    pub fn check(&self) -> Result<(), Problem> {
        let status = word(self.status.as_deref());
        let refused = || Problem::bad_request(unknown_ending(&status)).with_help(known_endings());
        ended(&status).map(|_| ()).ok_or_else(refused)
    }

    /// What the store is asked, whoever asks.
    pub fn filter(&self) -> Result<TraceFilter, String> {
        let status = word(self.status.as_deref());
        let unknown = || format!("{}. {}", unknown_ending(&status), known_endings());
        Ok(TraceFilter {
            teams: self.team.clone().filter(|it| !it.is_empty()).map(|it| vec![it]),
            trace: word(self.trace.as_deref()).to_ascii_lowercase(),
            project: word(self.project.as_deref()),
            pipeline: word(self.pipeline.as_deref()),
            run: word(self.run.as_deref()),
            stage: word(self.stage.as_deref()),
            endpoint: word(self.endpoint.as_deref()),
            model: word(self.model.as_deref()),
            provider: word(self.provider.as_deref()),
            ended: ended(&status).ok_or_else(unknown)?,
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

/// What a word means; `None` where nothing ends so. The types of their errors are named by apps, and look like names:
/// they are not lower case alone.
fn ended(word: &str) -> Option<Ended> {
    match word {
        "" => Some(Ended::Anyhow),
        "ok" => Some(Ended::Well),
        "error" => Some(Ended::Badly),
        _ if word.starts_with(|it: char| it.is_ascii_digit()) => {
            word.parse::<i64>().ok().filter(|it| STATUSES.contains(it)).map(Ended::Status)
        }
        _ => {
            let is_name = !word.bytes().all(|it| it.is_ascii_lowercase());
            (is_name || ENDINGS.contains(&word)).then(|| Ended::With(word.to_owned()))
        }
    }
}

fn unknown_ending(word: &str) -> String {
    format!("`status`: `{word}` is not known")
}

fn known_endings() -> String {
    let known = ENDINGS.map(|it| format!("`{it}`")).join(", ");
    format!("Known are {known}, a status as `429`, and types of apps' errors as `TimeoutError`.")
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

/// Calls, and the first spans of apps, that the caller may know of, newest first.
pub async fn list(
    app: &App,
    visitor: &Visitor,
    (query, page): (TraceQuery, PageQuery),
) -> Result<Page<TraceView>, Problem> {
    query.check()?;
    let mut filter = query.filter().map_err(Problem::bad_request)?;
    let page = page.checked(CursorForm::Numbered(DIGITS, '-'))?;
    filter.teams = teams(app, visitor, Role::Viewer, filter.teams).await?;
    let before = page.cursor.as_deref().and_then(|it| it.split_once('-'));
    let before = before.and_then(|(at, id)| Some((Timestamp(at.parse().ok()?), id.to_owned())));
    let filter = TraceFilter { before, limit: page.limit() + 1, ..filter };
    let rows = list_here(&app.store, &filter).await?;
    Ok(Page::new(rows, page.limit(), |it| format!("{:0DIGITS$}-{}", it.at, it.id)))
}

/// The same on the machine of the store.
pub async fn list_here(store: &Store, filter: &TraceFilter) -> Result<Vec<TraceView>, StoreError> {
    let calls = store.list_traces(filter).await?.into_iter().map(TraceView::from);
    let spans = store.list_first_spans(filter).await?.into_iter().map(TraceView::from);
    let mut rows: Vec<_> = calls.chain(spans).collect();
    rows.sort_by(|one, other| (other.at, &other.id).cmp(&(one.at, &one.id)));
    rows.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
    Ok(rows)
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

/// A call by the id of its request, or all calls and spans of a trace.
pub async fn show(app: &App, visitor: &Visitor, id: &str) -> Result<TreeView, Problem> {
    let viewed = teams(app, visitor, Role::Viewer, None).await?;
    let (rows, spans) = find(&app.store, id, viewed).await?;
    if rows.is_empty() && spans.is_empty() {
        return Err(Problem::not_found("this trace").with_help(format!(
            "A trace is named by the id of a request (`req_…`) or of the trace (32 hexadecimal digits); it is kept \
             for as long as the server says, and under load not every call is traced. {UNTRACED}"
        )));
    }
    // What people said is for those who work on it.
    let read = teams(app, visitor, Role::Developer, None).await?;
    let may_read = |it: &Owned| read.as_ref().is_none_or(|all| all.contains(&it.0));
    let readable: Vec<_> = owned(&rows, &spans).filter(may_read).map(|it| it.1).collect();
    let contents = app.store.list_trace_contents(&readable).await?;
    Ok(TreeView::of(rows, spans, &contents))
}

/// The same on the machine of the store; `None` when there is no such trace.
pub async fn show_here(store: &Store, id: &str) -> Result<Option<TreeView>, StoreError> {
    let (rows, spans) = find(store, id, None).await?;
    let ids: Vec<_> = owned(&rows, &spans).map(|it| it.1).collect();
    let contents = store.list_trace_contents(&ids).await?;
    let is_there = !rows.is_empty() || !spans.is_empty();
    Ok(is_there.then(|| TreeView::of(rows, spans, &contents)))
}

/// A team, and the id of what is its.
type Owned = (String, String);

fn owned(rows: &[TraceRow], spans: &[SpanRow]) -> impl Iterator<Item = Owned> {
    let calls = rows.iter().map(|it| (it.owner.team.clone(), it.id.clone()));
    calls.chain(spans.iter().map(|it| (it.owner.team.clone(), it.id.clone())))
}

async fn find(
    store: &Store,
    id: &str,
    teams: Option<Vec<String>>,
) -> Result<(Vec<TraceRow>, Vec<SpanRow>), StoreError> {
    let mut id = id.to_ascii_lowercase();
    let is_seen = |team: &String| teams.as_ref().is_none_or(|all| all.contains(team));
    if id.starts_with(REQUEST) {
        let call = store.find_trace(&id).await?.filter(|it| is_seen(&it.owner.team));
        return Ok((call.into_iter().collect(), Vec::new()));
    }
    if id.starts_with(SPAN) {
        // A span is shown with all of its trace.
        let span = store.find_span(&id).await?.filter(|it| is_seen(&it.owner.team));
        id = span.map(|it| it.trace).unwrap_or_default();
    }
    if id.len() != TRACE_DIGITS {
        return Ok((Vec::new(), Vec::new()));
    }
    let spans = store.list_spans(&id, teams.as_deref(), SPANS_MAX + 1).await?;
    let filter = TraceFilter { trace: id, teams, limit: CALLS_MAX + 1, ..TraceFilter::default() };
    Ok((store.list_traces(&filter).await?, spans))
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
        assert_eq!(ended("ok"), Some(Ended::Well));
        for word in ["guardrail", "lost", "TimeoutError", "java.net.ConnectException"] {
            assert_eq!(ended(word), Some(Ended::With(word.to_owned())));
        }
        for unknown in ["nonsense", "failed", "4xx", "42", "9999"] {
            assert_eq!(ended(unknown), None);
        }
        assert_eq!(dollars("2"), Ok(Some(UsdNanos(2_000_000_000))));
        for wrong in [".", "-1", "1e3", "0.0000000001", "99999999999"] {
            assert!(dollars(wrong).is_err(), "{wrong}");
        }
        let wrong = TraceQuery { min_ms: Some("fast".to_owned()), ..TraceQuery::default() };
        assert_eq!(wrong.filter().unwrap_err(), "`min_ms` is a number, not `fast`");
        let wrong = TraceQuery { status: Some("odd".to_owned()), ..TraceQuery::default() };
        let told = wrong.filter().unwrap_err();
        assert!(told.starts_with("`status`: `odd` is not known. Known are `ok`, "), "{told}");
    }
}

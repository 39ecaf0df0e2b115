//! `/traces`: calls to models and the first spans of apps, by filters that stand in the address.

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::milliseconds;
use crate::desk::server::traces::{self, TraceQuery, TraceView};
use crate::http::{App, Page, PageQuery, Problem, Query, Visitor};
use crate::model::Timestamp;
use crate::ui::form::{encoded, mistake};
use crate::ui::live::{self, Audience, Part, Render};
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

/// How people ask for what ended how, and its word in the address.
const CHOICES: [(&str, &str); 3] = [("", "All"), ("ok", "Answered"), ("error", "Failed")];
/// How far back people look, in words and in seconds.
const SPANS: [(&str, u64); 5] =
    [("15m", 900), ("1h", 3600), ("24h", 86_400), ("7d", 7 * 86_400), ("30d", 30 * 86_400)];
/// How often the list is looked at again: no call announces itself.
const AGAIN: Duration = Duration::from_secs(5);

/// How far back.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
pub(super) struct Within {
    #[serde(default)]
    within: String,
}

#[derive(Template)]
#[template(path = "traces/list.html")]
struct ListPage {
    shell: Shell,
    words: Words,
    query: TraceQuery,
    within: String,
    /// What was wrong with what was asked for.
    problem: Option<String>,
    list: String,
    choices: Vec<Choice>,
    /// Path and query of what keeps the page true.
    live: String,
}

/// A link to the same list with another ending.
struct Choice {
    name: &'static str,
    href: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "traces/_list.html")]
struct ListPart<'a> {
    words: Words,
    rows: &'a [TraceView],
    is_filtered: bool,
    /// Whether it begins with the newest.
    is_first: bool,
    first: String,
    next: Option<String>,
}

impl ListPart<'_> {
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn at(&self, row: &TraceView) -> Timestamp {
        Timestamp(row.at)
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn took(&self, row: &TraceView) -> String {
        milliseconds(row.total_ms)
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn first_token(&self, row: &TraceView) -> Option<String> {
        row.first_token_ms.map(milliseconds)
    }

    /// `429`, `402 budget_exceeded`, `200`.
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn ending(&self, row: &TraceView) -> String {
        let status = row.status.map(|it| it.to_string()).unwrap_or_default();
        let error = Some(&row.error).filter(|it| **it != status);
        let words = [Some(&status), error].into_iter().flatten().filter(|it| !it.is_empty());
        words.cloned().collect::<Vec<_>>().join(" ")
    }
}

impl ListPage {
    fn is_within(&self, span: &str) -> bool {
        self.within == span
    }

    #[expect(clippy::unused_self, clippy::ref_option, reason = "templates call it so")]
    fn field<'a>(&self, value: &'a Option<String>) -> &'a str {
        value.as_deref().unwrap_or_default()
    }
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<TraceQuery>,
    Query(within): Query<Within>,
    Query(page_query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let query = cleaned(query);
    query.check()?;
    let asked = Asked { query: query.clone(), within: within.within.clone(), page: page_query };
    let (list, problem) = match asked.render(&app, &visit.visitor).await {
        Ok(list) => (list, None),
        Err(problem) => (String::new(), Some(mistake(problem)?)),
    };
    let choices = CHOICES.into_iter().map(|(status, name)| {
        let with = TraceQuery { status: some(status), ..query.clone() };
        let is_chosen = query.status.as_deref().unwrap_or_default() == status;
        let with = Asked { query: with, page: PageQuery::default(), ..asked.clone() };
        Choice { name, href: with.address("/traces"), is_chosen }
    });
    let is_wrong = problem.is_some();
    let mut response = page(&ListPage {
        shell: visit.shell(Section::Traces, "Traces"),
        words: visit.words(),
        live: asked.address("/live/traces"),
        within: asked.within.clone(),
        problem,
        list,
        choices: choices.collect(),
        query,
    })?;
    if is_wrong {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(response)
}

pub(super) async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<TraceQuery>,
    Query(within): Query<Within>,
    Query(page): Query<PageQuery>,
) -> Result<Response, Problem> {
    let asked = Asked { query: cleaned(query), within: within.within, page };
    let (of_parts, who, name) = (app.clone(), visitor.clone(), format!("traces {asked:?}"));
    let make: Render = Box::new(move || {
        let (app, visitor, asked) = (of_parts.clone(), who.clone(), asked.clone());
        Box::pin(async move {
            let html = asked.render(&app, &visitor).await?;
            Ok(vec![Part { id: "list", html }])
        })
    });
    live::stream_of_many_every(&app, &visitor, (vec![(Audience::Alike, name, make)], AGAIN))
}

/// All that stands in the address.
#[derive(Debug, Clone)]
struct Asked {
    query: TraceQuery,
    within: String,
    page: PageQuery,
}

impl Asked {
    async fn render(&self, app: &App, visitor: &Visitor) -> Result<String, Problem> {
        let is_first = self.page.cursor.as_deref().unwrap_or_default().is_empty();
        let span = self.span()?;
        let since = span.map(|it| app.now().0.saturating_sub_unsigned(it.1 * 1000).to_string());
        let query = TraceQuery { since: self.query.since.clone().or(since), ..self.query.clone() };
        let found = traces::list(app, visitor, (query, self.page.clone())).await?;
        let Page { items, next } = found;
        let at = |cursor: Option<String>| {
            let page = PageQuery { cursor, ..self.page.clone() };
            Self { page, ..self.clone() }.address("/traces")
        };
        part(&ListPart {
            words: Words::at(app.now()),
            rows: &items,
            is_filtered: self.query != TraceQuery::default() || !self.within.is_empty(),
            is_first,
            first: at(None),
            next: next.map(|it| at(Some(it))),
        })
    }

    /// How far back it looks, where that is said.
    fn span(&self) -> Result<Option<&(&str, u64)>, Problem> {
        let span = SPANS.iter().find(|it| it.0 == self.within);
        if span.is_none() && !self.within.is_empty() {
            return Err(Problem::unknown_word("within", &self.within, &SPANS.map(|it| it.0)));
        }
        Ok(span)
    }

    fn address(&self, path: &str) -> String {
        let within = ("within", self.within.as_str());
        let cursor = ("cursor", self.page.cursor.as_deref().unwrap_or_default());
        let fields = self.query.pairs().into_iter().chain([within, cursor]);
        let fields = fields.filter(|it| !it.1.is_empty());
        let pairs: Vec<_> =
            fields.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
    }
}

/// What a form leaves empty is no filter.
fn cleaned(query: TraceQuery) -> TraceQuery {
    let clean = |it: Option<String>| it.as_deref().map(str::trim).and_then(some);
    TraceQuery {
        trace: clean(query.trace),
        team: clean(query.team),
        project: clean(query.project),
        pipeline: clean(query.pipeline),
        run: clean(query.run),
        stage: clean(query.stage),
        endpoint: clean(query.endpoint),
        model: clean(query.model),
        provider: clean(query.provider),
        status: clean(query.status),
        min_ms: clean(query.min_ms),
        min_usd: clean(query.min_usd),
        since: clean(query.since),
        until: clean(query.until),
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

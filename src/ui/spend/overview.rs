//! `/spend`: what calls to models cost, by filters that stand in the address.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::bars::{Bar, Coming};
use super::pictures;
use super::table::{self, GROUPS, ROWS_MAX, Row, SpendQuery};
use crate::desk::server::budgets::standing;
use crate::desk::server::money::cents;
use crate::desk::server::outlook::forecast::SPANS_MIN;
use crate::desk::server::outlook::period::Period;
use crate::desk::server::spend::named::{self, Named};
use crate::desk::server::spend::trend::{self, Trend};
use crate::desk::teams;
use crate::http::{App, Problem, Query, Visitor};
use crate::model::{Role, Timestamp, UsdNanos};
use crate::store::runs::RunRow;
use crate::store::spend::sums::SpendBy;
use crate::ui::live::{self, Audience, Part, Render};
use crate::ui::reports::chart::Chart;
use crate::ui::runs::{grouped, price};
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

/// Budgets that are shown, the most used.
const BUDGETS_MAX: usize = 5;

#[derive(Template)]
#[template(path = "spend/overview.html")]
struct SpendPage {
    shell: Shell,
    query: SpendQuery,
    periods: Vec<Choice>,
    groups: Vec<Choice>,
    teams: Vec<String>,
    parts: Vec<Part>,
    live: String,
}

/// A link to the same page with something else chosen.
struct Choice {
    name: &'static str,
    href: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "spend/_facts.html")]
struct FactsPart {
    words: Words,
    facts: Facts,
}

/// What it comes to, in words.
struct Facts {
    spent: String,
    attempts: String,
    /// What caches and recordings saved, where that is something.
    saved: Option<String>,
    /// What it comes to, at least, and at most.
    forecast: Option<[String; 3]>,
    /// Complete spans that this was told from, and what they are.
    spans: usize,
    span: &'static str,
    /// Whether a forecast would make sense, were enough known.
    is_under_way: bool,
    ends_at: Timestamp,
    budget: Option<BudgetFact>,
    /// When that is used up.
    used_up_at: Option<Timestamp>,
}

/// How far the budget for it is used.
struct BudgetFact {
    name: String,
    path: String,
    limit: String,
    percent: i64,
    /// Since when it counts, where that is in the midst of the period.
    since: Option<Timestamp>,
}

#[derive(Template)]
#[template(path = "spend/_charts.html")]
struct ChartsPart {
    charts: Vec<String>,
}

#[derive(Template)]
#[template(path = "spend/_table.html")]
struct TablePart {
    rows: Vec<Row>,
    head: &'static str,
    is_runs: bool,
    has_more: bool,
    is_filtered: bool,
    /// Kind and name of what a filter names and is not there.
    missing: Option<(&'static str, String)>,
    period: &'static str,
    clear: String,
}

#[derive(Template)]
#[template(path = "spend/_held.html")]
struct HeldPart {
    words: Words,
    bars: Vec<Bar>,
    more: usize,
    /// Budgets of the installation that hold as well and are not among them.
    unseen: usize,
    is_owner: bool,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<SpendQuery>,
) -> Result<Response, Problem> {
    let query = query.checked()?;
    let parts = parts(&app, &visit.visitor, &query).await?;
    let teams = teams::list(&app, &visit.visitor, Role::Viewer).await?;
    let periods = Period::ALL.map(|it| {
        let with = SpendQuery { period: it.as_str().to_owned(), ..query.clone() };
        let is_chosen = it == query.period();
        Choice { name: it.title(), href: with.address("/spend"), is_chosen }
    });
    let groups = GROUPS.map(|(by, name)| {
        let with = SpendQuery { by: by.as_str().to_owned(), ..query.clone() };
        Choice { name, href: with.address("/spend"), is_chosen: by == query.by() }
    });
    page(&SpendPage {
        shell: visit.shell(Section::Spend, "Spend"),
        periods: periods.into(),
        groups: groups.into(),
        teams: teams.into_iter().map(|it| it.name).collect(),
        parts,
        live: query.address("/live/spend"),
        query,
    })
}

pub(super) async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<SpendQuery>,
) -> Result<Response, Problem> {
    let (of_parts, who, query) = (app.clone(), visitor.clone(), query.checked()?);
    let name = format!("spend {query:?}");
    let render: Render = Box::new(move || {
        let (app, visitor, query) = (of_parts.clone(), who.clone(), query.clone());
        Box::pin(async move { parts(&app, &visitor, &query).await })
    });
    live::stream_of_many(&app, &visitor, vec![(Audience::Alike, name, render)])
}

async fn parts(app: &App, visitor: &Visitor, query: &SpendQuery) -> Result<Vec<Part>, Problem> {
    let words = Words::at(app.now());
    let typed = (query.team.as_str(), query.project.as_str(), query.run.as_str());
    let Named { project, run, missing } = named::find(app, visitor, typed).await?;
    let query = &SpendQuery { project, run, ..query.clone() };
    let trend = trend::load(app, visitor, &query.asked()).await?;
    let runs = runs(app, &trend).await?;
    let team = Some(query.team.as_str()).filter(|it| !it.is_empty());
    let standings = standing::list(app, visitor, (team, BUDGETS_MAX)).await?;
    let bars: Vec<_> = standings.iter().take(BUDGETS_MAX).map(Bar::of).collect();
    let head = GROUPS.iter().find(|it| it.0 == trend.by).map_or("Name", |it| it.1);
    let table = TablePart {
        rows: table::rows(query, &trend, &runs),
        head,
        is_runs: trend.by == SpendBy::Run,
        has_more: trend.sums.len() > ROWS_MAX as usize,
        is_filtered: query.is_filtered(),
        missing,
        period: query.period().title(),
        clear: SpendQuery { period: query.period.clone(), ..SpendQuery::default() }
            .cleaned()
            .address("/spend"),
    };
    let held = HeldPart {
        words,
        more: standings.len().saturating_sub(bars.len()),
        bars,
        unseen: standing::count_unseen(app, visitor, team).await?,
        is_owner: visitor.0.may_own(),
    };
    let charts = ChartsPart { charts: charts(&trend, &runs) };
    Ok(vec![
        Part { id: "facts", html: part(&FactsPart { words, facts: facts(query, &trend) })? },
        Part { id: "charts", html: part(&charts)? },
        Part { id: "sums", html: part(&table)? },
        Part { id: "held", html: part(&held)? },
    ])
}

/// Those of the runs in a trend that are still there.
async fn runs(app: &App, trend: &Trend) -> Result<HashMap<String, RunRow>, Problem> {
    if trend.by != SpendBy::Run {
        return Ok(HashMap::new());
    }
    let ids: Vec<_> = trend.sums.iter().map(|it| it.name.clone()).collect();
    let rows = app.store.list_runs_by_id(&ids).await?;
    Ok(rows.into_iter().map(|it| (it.id.0.clone(), it)).collect())
}

fn charts(trend: &Trend, runs: &HashMap<String, RunRow>) -> Vec<String> {
    if trend.sums.is_empty() {
        return Vec::new();
    }
    let more = [pictures::so_far(trend), pictures::saved(trend)].into_iter().flatten();
    let charts = std::iter::once(pictures::over_time(trend, runs)).chain(more);
    charts.map(|it: Chart| it.figure()).collect()
}

fn facts(query: &SpendQuery, trend: &Trend) -> Facts {
    let spent = trend.total(|it| it.cost.0);
    let saved = UsdNanos(trend.total(|it| it.avoided.0));
    let forecast = trend.outlook.as_ref().map(|it| {
        [it.forecast.total, it.forecast.low, it.forecast.high].map(|it| price(cents(it)))
    });
    let budget = trend.budget.as_ref().map(|it| BudgetFact {
        name: it.row.id.clone(),
        path: super::bars::path(&it.row),
        limit: price(it.limit),
        percent: it.percent(),
        since: it.since(trend.span),
    });
    let is_by_hour = query.period() == Period::Today;
    Facts {
        spent: price(UsdNanos(spent)),
        attempts: grouped(trend.total(|it| it.attempts)),
        saved: (saved.0 > 0).then(|| price(saved)),
        forecast: forecast.filter(|_| query.period().window().is_some()),
        spans: trend.outlook.as_ref().map_or(trend.known, |it| it.spans),
        span: if is_by_hour { "hour" } else { "day" },
        is_under_way: query.period().window().is_some(),
        ends_at: trend.span.to,
        budget,
        used_up_at: trend.outlook.as_ref().and_then(|it| it.used_up_at),
    }
}

impl FactsPart {
    /// Spans without which nothing is said.
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn needed(&self) -> usize {
        SPANS_MIN
    }
}

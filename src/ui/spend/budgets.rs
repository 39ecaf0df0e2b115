//! `/budgets`: those that one may know of, the most used first.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::bars::{Bar, Coming};
use crate::desk::server::budgets::standing::{self, FORESEEN_MAX};
use crate::http::{App, Problem, Query, Visitor};
use crate::ui::form::encoded;
use crate::ui::live::{self, Audience, Part, Render};
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

/// Budgets that are shown; how many more there are is said.
const SHOWN_MAX: usize = 200;

/// Whose.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct BudgetsQuery {
    team: String,
}

impl BudgetsQuery {
    fn team(&self) -> Option<&str> {
        Some(self.team.trim()).filter(|it| !it.is_empty())
    }
}

#[derive(Template)]
#[template(path = "spend/budgets.html")]
struct BudgetsPage {
    shell: Shell,
    team: String,
    teams: Vec<String>,
    may_make: bool,
    list: String,
    live: String,
}

#[derive(Template)]
#[template(path = "spend/_budgets.html")]
struct ListPart {
    words: Words,
    bars: Vec<Bar>,
    hidden: usize,
    /// Budgets of the installation that hold as well and are not in the list.
    unseen: usize,
    is_owner: bool,
    may_make: bool,
    team: String,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<BudgetsQuery>,
) -> Result<Response, Problem> {
    let team = query.team().unwrap_or_default().to_owned();
    let list = list(&app, &visit.visitor, &query).await?;
    let teams = standing::teams(&app, &visit.visitor).await?;
    page(&BudgetsPage {
        shell: visit.shell(Section::Spend, "Budgets"),
        may_make: may_make(&visit.visitor, &teams),
        teams: teams.into_iter().map(|it| it.0.name).collect(),
        list,
        live: if team.is_empty() {
            "/live/budgets".to_owned()
        } else {
            format!("/live/budgets?team={}", encoded(&team))
        },
        team,
    })
}

pub(super) async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<BudgetsQuery>,
) -> Result<Response, Problem> {
    let (of_parts, who) = (app.clone(), visitor.clone());
    let name = format!("budgets {query:?}");
    let render: Render = Box::new(move || {
        let (app, visitor, query) = (of_parts.clone(), who.clone(), query.clone());
        Box::pin(async move {
            Ok(vec![Part { id: "budgets", html: list(&app, &visitor, &query).await? }])
        })
    });
    live::stream_of_many(&app, &visitor, vec![(Audience::Alike, name, render)])
}

/// Whether somebody may make a budget for anybody.
fn may_make(visitor: &Visitor, teams: &[(crate::store::access::teams::TeamRow, bool)]) -> bool {
    visitor.0.may_own() || teams.iter().any(|it| it.1)
}

async fn list(app: &App, visitor: &Visitor, query: &BudgetsQuery) -> Result<String, Problem> {
    let standings = standing::list(app, visitor, (query.team(), FORESEEN_MAX)).await?;
    let teams = standing::teams(app, visitor).await?;
    part(&ListPart {
        words: Words::at(app.now()),
        hidden: standings.len().saturating_sub(SHOWN_MAX),
        bars: standings.iter().take(SHOWN_MAX).map(Bar::of).collect(),
        unseen: standing::count_unseen(app, visitor, query.team()).await?,
        is_owner: visitor.0.may_own(),
        may_make: may_make(visitor, &teams),
        team: query.team().unwrap_or_default().to_owned(),
    })
}

//! `/`: what concerns somebody now.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::form::encoded;
use super::live::{self, Audience, Part, Render};
use super::shell::{Section, Shell, Visit, page, part};
use super::words::Words;
use crate::desk::overview::{self, Now, Trunks};
use crate::http::{App, PageQuery, Problem, Query, Visitor};
use crate::model::Role;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/", get(show)).route("/live/home", get(watch))
}

#[derive(Template)]
#[template(path = "home/home.html")]
struct HomePage {
    shell: Shell,
    words: Words,
    now: Now,
    trunks: Trunks,
    shows_project: bool,
    /// Path and query of what keeps the page true.
    live: String,
    is_owner: bool,
    /// Whether there is a team that one may make a project in.
    in_no_team: bool,
    may_make: bool,
}

#[derive(Template)]
#[template(path = "home/_now.html")]
struct NowPart {
    words: Words,
    now: Now,
    shows_project: bool,
}

#[derive(Template)]
#[template(path = "home/_projects.html")]
struct ProjectsPart {
    words: Words,
    trunks: Trunks,
    in_no_team: bool,
    may_make: bool,
}

/// Whether somebody is in no team, so that there is nothing for them to see.
fn is_in_no_team(visitor: &Visitor) -> bool {
    visitor.0.teams_as(Role::Viewer).is_some_and(|it| it.is_empty())
}

/// Whether they may make a project.
fn may_make(visitor: &Visitor) -> bool {
    visitor.0.teams_as(Role::Admin).is_none_or(|it| !it.is_empty())
}

async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let now = overview::now(&app, &visit.visitor).await?;
    let trunks = overview::trunks(&app, &visit.visitor, &query).await?;
    page(&HomePage {
        shell: visit.shell(Section::Home, "Home"),
        words: visit.words(),
        now,
        trunks,
        shows_project: true,
        live: live_path(&query),
        is_owner: visit.visitor.0.may_own(),
        in_no_team: is_in_no_team(&visit.visitor),
        may_make: may_make(&visit.visitor),
    })
}

fn live_path(query: &PageQuery) -> String {
    let cursor = query.cursor.as_deref().unwrap_or_default();
    format!("/live/home?cursor={}", encoded(cursor))
}

async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let (of_now, who) = (app.clone(), visitor.clone());
    let now: Render = Box::new(move || {
        let (app, visitor) = (of_now.clone(), who.clone());
        Box::pin(async move {
            let now = overview::now(&app, &visitor).await?;
            let html = part(&NowPart { words: Words::at(app.now()), now, shows_project: true })?;
            Ok(vec![Part { id: "now", html }])
        })
    });
    let name = format!("projects {query:?}");
    let (of_projects, who) = (app.clone(), visitor.clone());
    let projects: Render = Box::new(move || {
        let (app, visitor, query) = (of_projects.clone(), who.clone(), query.clone());
        Box::pin(async move {
            let trunks = overview::trunks(&app, &visitor, &query).await?;
            let (in_no_team, may_make) = (is_in_no_team(&visitor), may_make(&visitor));
            let words = Words::at(app.now());
            let html = part(&ProjectsPart { words, trunks, in_no_team, may_make })?;
            Ok(vec![Part { id: "projects", html }])
        })
    });
    let views = vec![(Audience::One, "now".to_owned(), now), (Audience::Alike, name, projects)];
    live::stream_of_many(&app, &visitor, views)
}

//! `/`: what concerns somebody now.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::form::encoded;
use super::live::{self, Part, Render, Watch};
use super::shell::{Section, Shell, Visit, page, part};
use super::words::Words;
use crate::desk::overview::{self, Overview};
use crate::http::{App, PageQuery, Problem, Query, Visitor};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/", get(show)).route("/live/home", get(watch))
}

#[derive(Template)]
#[template(path = "home/home.html")]
struct HomePage {
    shell: Shell,
    words: Words,
    overview: Overview,
    shows_project: bool,
    /// Path and query of what keeps the page true.
    live: String,
    is_owner: bool,
}

#[derive(Template)]
#[template(path = "home/_now.html")]
struct NowPart<'a> {
    words: Words,
    overview: &'a Overview,
    shows_project: bool,
}

#[derive(Template)]
#[template(path = "home/_projects.html")]
struct ProjectsPart<'a> {
    words: Words,
    overview: &'a Overview,
}

async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let overview = overview::show(&app, &visit.visitor, &query).await?;
    let live = live_path(&query);
    page(&HomePage {
        shell: visit.shell(Section::Home, "Home"),
        words: visit.words(),
        overview,
        shows_project: true,
        live,
        is_owner: visit.visitor.0.may_own(),
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
    let (of_parts, who) = (app.clone(), visitor.clone());
    let render: Render = Box::new(move || {
        let (app, visitor, query) = (of_parts.clone(), who.clone(), query.clone());
        Box::pin(async move { parts(&app, &visitor, &query).await })
    });
    live::stream(&app, &visitor, Watch::Runs, render)
}

async fn parts(app: &App, visitor: &Visitor, query: &PageQuery) -> Result<Vec<Part>, Problem> {
    let query =
        PageQuery { cursor: query.cursor.clone().filter(|it| !it.is_empty()), ..query.clone() };
    let overview = overview::show(app, visitor, &query).await?;
    let words = Words::at(app.now());
    let now = part(&NowPart { words, overview: &overview, shows_project: true })?;
    let projects = part(&ProjectsPart { words, overview: &overview })?;
    Ok(vec![Part { id: "now", html: now }, Part { id: "projects", html: projects }])
}

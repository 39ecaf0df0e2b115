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
    standing: Standing,
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
    standing: Standing,
}

/// What somebody has to do with projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// They are in no team: there is nothing for them to see.
    Outside,
    /// They see those of their teams.
    Member,
    /// They may make some, too.
    Maker,
}

impl Standing {
    fn of(visitor: &Visitor) -> Self {
        let has_teams = |needed| visitor.0.teams_as(needed).is_none_or(|teams| !teams.is_empty());
        if has_teams(Role::Admin) {
            Self::Maker
        } else if has_teams(Role::Viewer) {
            Self::Member
        } else {
            Self::Outside
        }
    }

    fn is_outside(self) -> bool {
        self == Self::Outside
    }

    fn may_make(self) -> bool {
        self == Self::Maker
    }
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
        standing: Standing::of(&visit.visitor),
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
            let (words, standing) = (Words::at(app.now()), Standing::of(&visitor));
            let html = part(&ProjectsPart { words, trunks, standing })?;
            Ok(vec![Part { id: "projects", html }])
        })
    });
    let views = vec![(Audience::One, "now".to_owned(), now), (Audience::Alike, name, projects)];
    live::stream_of_many(&app, &visitor, views)
}

//! `/teams/{team}`: the projects of a team and their trunks, what runs, and who is in it.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::desk::places::{self, SeenTeam};
use crate::http::{App, Path, Problem, Visitor};
use crate::store::runs::RunRow;
use crate::ui::live::{self, Audience, Part, Render};
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "places/team.html")]
struct TeamPage {
    shell: Shell,
    seen: SeenTeam,
    parts: Vec<Part>,
}

#[derive(Template)]
#[template(path = "places/_projects.html")]
struct ProjectsPart<'a> {
    words: Words,
    seen: &'a SeenTeam,
}

#[derive(Template)]
#[template(path = "places/_active.html")]
struct ActivePart<'a> {
    words: Words,
    rows: &'a [RunRow],
    shows_project: bool,
    team: &'a str,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(team): Path<String>,
) -> Result<Response, Problem> {
    let seen = places::team(&app, &visit.visitor, &team).await?;
    let parts = parts(visit.words(), &seen)?;
    let shell = visit.shell(Section::Home, seen.team.title.clone());
    page(&TeamPage { shell, seen, parts })
}

pub(super) async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Path(team): Path<String>,
) -> Result<Response, Problem> {
    let role = crate::model::Role::Viewer;
    let _visible = crate::desk::teams::find(&app, &visitor, &team, role).await?;
    let name = format!("team {team}");
    let (of_parts, who) = (app.clone(), visitor.clone());
    let render: Render = Box::new(move || {
        let (app, visitor, team) = (of_parts.clone(), who.clone(), team.clone());
        Box::pin(async move {
            let seen = places::team(&app, &visitor, &team).await?;
            parts(Words::at(app.now()), &seen)
        })
    });
    live::stream_of_many(&app, &visitor, vec![(Audience::Alike, name, render)])
}

fn parts(words: Words, seen: &SeenTeam) -> Result<Vec<Part>, Problem> {
    let team = seen.team.name.as_str();
    let active = ActivePart { words, rows: &seen.active, shows_project: true, team };
    Ok(vec![
        Part { id: "projects", html: part(&ProjectsPart { words, seen })? },
        Part { id: "active", html: part(&active)? },
    ])
}

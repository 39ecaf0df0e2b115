//! `/teams`: the teams that one may see.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::desk::places::{self, ListedTeam};
use crate::http::{App, Problem};
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "places/teams.html")]
struct TeamsPage {
    shell: Shell,
    words: Words,
    teams: Vec<ListedTeam>,
    is_owner: bool,
}

pub(super) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    let teams = places::teams(&app, &visit.visitor).await?;
    let shell = visit.shell(Section::Home, "Teams");
    let is_owner = visit.visitor.0.may_own();
    page(&TeamsPage { shell, words: visit.words(), teams, is_owner })
}

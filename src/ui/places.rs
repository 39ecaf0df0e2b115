//! Projects and teams: where their trunks stand, what runs, and how a run is started by hand.

mod project;
mod strip;
mod start;
mod team;
mod teams;

use axum::Router;
use axum::routing::get;

use crate::http::{App, Operation};
use crate::store::access::projects::ProjectRow;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/projects/{team}/{name}", get(project::show))
        .route("/live/projects/{team}/{name}", get(project::watch))
        .route("/projects/{team}/{name}/start", get(start::show).post(start::send))
        .route("/teams", get(teams::show))
        .route("/teams/{team}", get(team::show))
        .route("/live/teams/{team}", get(team::watch))
}

pub(super) const OPERATIONS: &[Operation] =
    &[("POST", "/projects/{team}/{name}/start", "start_run")];

/// Where a project is. Names of teams and projects have no letters that addresses give a meaning to.
pub(super) fn path_of(project: &ProjectRow) -> String {
    format!("/projects/{}/{}", project.team_name, project.name)
}

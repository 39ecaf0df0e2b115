//! `GET /api/v1/projects/{team}/{name}`: one project.

use axum::extract::State;

use super::body::ProjectBody;
use crate::http::{App, Json, Path, Problem, Visitor};

/// Shows a project.
#[utoipa::path(
    get, path = "/projects/{team}/{name}", tag = "projects",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = ProjectBody)),
)]
pub(super) async fn show_project(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
) -> Result<Json<ProjectBody>, Problem> {
    Ok(Json(super::find(&app, &visitor, &format!("{team}/{name}")).await?.into()))
}

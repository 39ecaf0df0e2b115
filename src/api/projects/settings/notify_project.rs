//! `POST /api/v1/projects/{team}/{name}/notify`: there may be news at the remote. What a `post-receive` hook
//! calls.

use axum::extract::State;
use axum::http::StatusCode;

use crate::http::{App, Path, Problem, Visitor};
use crate::model::Role;

/// Has the remote looked at now.
#[utoipa::path(
    post, path = "/projects/{team}/{name}/notify", tag = "projects",
    extensions(("x-access" = json!("developer"))),
    params(("team" = String, Path), ("name" = String, Path)),
    responses((status = 202, description = "The remote is looked at soon")),
)]
pub(super) async fn notify_project(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let project = super::find(&app, &visitor, &format!("{team}/{name}")).await?;
    visitor.require(&project.team, Role::Developer, "this project")?;
    app.triggers.notify(&project.id).await?;
    Ok(StatusCode::ACCEPTED)
}

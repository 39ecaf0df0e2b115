//! `POST /api/v1/projects`: a repository that is built from now on.

use axum::extract::State;
use axum::http::StatusCode;

use super::body::ProjectBody;
use crate::desk::projects::{self, NewProject};
use crate::http::{App, Json, Problem, Visitor};
use crate::model::ForgeKind;

/// A project to make.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateProject {
    /// Name of its team.
    team: String,
    /// Its name: `[a-z0-9_-]{1,63}`.
    name: String,
    /// Where the code is fetched from: an `https:`, `ssh:` or `file:` address.
    address: String,
    /// `github`, `gitlab`, `gitea` or `git`.
    #[serde(default = "plain")]
    forge: String,
    /// Base address of the forge's API; empty for that of the public one.
    #[serde(default)]
    forge_url: String,
    /// `owner/name` at the forge.
    #[serde(default)]
    forge_path: String,
    /// The trunk.
    #[serde(default = "main")]
    default_branch: String,
    /// Higher is served first within the team.
    #[serde(default)]
    priority: i64,
    /// How often the remote is asked for news, in seconds; 0 for never.
    #[serde(default)]
    poll_seconds: i64,
}

impl From<CreateProject> for NewProject {
    fn from(it: CreateProject) -> Self {
        Self {
            team: it.team,
            name: it.name,
            address: it.address,
            forge: it.forge,
            forge_url: it.forge_url,
            forge_path: it.forge_path,
            default_branch: it.default_branch,
            priority: it.priority,
            poll_seconds: it.poll_seconds,
        }
    }
}

fn plain() -> String {
    ForgeKind::Git.to_string()
}

fn main() -> String {
    "main".to_owned()
}

/// Makes a project.
#[utoipa::path(
    post, path = "/projects", tag = "projects",
    extensions(("x-access" = json!("admin"))),
    request_body = CreateProject,
    responses((status = 201, body = ProjectBody)),
)]
pub(super) async fn create_project(
    State(app): State<App>,
    visitor: Visitor,
    Json(request): Json<CreateProject>,
) -> Result<(StatusCode, Json<ProjectBody>), Problem> {
    let row = projects::create(&app, &visitor, request.into()).await?;
    Ok((StatusCode::CREATED, Json(row.into())))
}

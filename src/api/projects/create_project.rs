//! `POST /api/v1/projects`: a repository that is built from now on.

use axum::extract::State;
use axum::http::StatusCode;

use super::body::ProjectBody;
use crate::http::{App, Json, Problem, Visitor};
use crate::model::access::is_name;
use crate::model::{ForgeKind, ProjectId, Role};
use crate::store::access::projects::ProjectRow;

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
    let team = app.store.find_team(&request.team).await?;
    let team = team.ok_or_else(|| Problem::not_found("this team"))?;
    visitor.require(&team.id, Role::Admin, "this team")?;
    let bad_name = || Problem::bad_request("a name has 1 to 63 of `a-z`, `0-9`, `-` and `_`");
    is_name(&request.name).then_some(()).ok_or_else(bad_name)?;
    super::check_address(&app, &request.address)?;
    let row = ProjectRow {
        id: ProjectId(app.new_id()),
        team: team.id,
        team_name: team.name,
        name: request.name,
        address: request.address,
        forge: ForgeKind::parse(&request.forge).ok_or_else(super::bad_forge)?,
        forge_url: request.forge_url,
        forge_path: request.forge_path,
        default_branch: request.default_branch,
        priority: request.priority,
        poll_seconds: request.poll_seconds.max(0),
        created_at: app.now(),
        archived_at: None,
    };
    app.store.insert_project(&row).await?;
    Ok((StatusCode::CREATED, Json(row.into())))
}

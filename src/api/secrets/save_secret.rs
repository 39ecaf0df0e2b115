//! `PUT …/secrets`: a new secret, or another value of one.

use std::fmt;

use axum::extract::State;

use crate::desk::secrets::{self, Holder, NewSecret};
use crate::http::{App, Json, Path, Problem, Visitor};
use crate::model::Role;
use crate::secrets::rules::Rules;

/// A secret to set.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveSecret {
    /// Its name: letters, digits, `_`, `-`, `.` and `/`.
    name: String,
    /// The environment whose stages get it; empty for all.
    #[serde(default)]
    environment: String,
    /// Its value, which is never shown again.
    value: String,
    /// Who may read it.
    #[serde(default)]
    rules: Rules,
}

impl fmt::Debug for SaveSecret {
    /// Never shows the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaveSecret").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A secret that was set.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct SavedSecret {
    /// Its version.
    version: i64,
}

/// Sets a secret of a team.
#[utoipa::path(
    put, path = "/teams/{team}/secrets", tag = "secrets",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path, description = "Name of the team")),
    request_body = SaveSecret,
    responses((status = 200, body = SavedSecret)),
)]
pub(super) async fn save_team_secret(
    State(app): State<App>,
    visitor: Visitor,
    Path(team): Path<String>,
    Json(request): Json<SaveSecret>,
) -> Result<Json<SavedSecret>, Problem> {
    let holder = secrets::of_team(&app, &visitor, (&team, Role::Admin)).await?;
    save(&app, &visitor, holder, request).await
}

/// Sets a secret of a project.
#[utoipa::path(
    put, path = "/projects/{team}/{name}/secrets", tag = "secrets",
    extensions(("x-access" = json!("admin"))),
    params(
        ("team" = String, Path, description = "Name of the team"),
        ("name" = String, Path, description = "Name of the project"),
    ),
    request_body = SaveSecret,
    responses((status = 200, body = SavedSecret)),
)]
pub(super) async fn save_project_secret(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    Json(request): Json<SaveSecret>,
) -> Result<Json<SavedSecret>, Problem> {
    let holder = secrets::of_project(&app, &visitor, ((&team, &name), Role::Admin)).await?;
    save(&app, &visitor, holder, request).await
}

async fn save(
    app: &App,
    visitor: &Visitor,
    holder: Holder,
    request: SaveSecret,
) -> Result<Json<SavedSecret>, Problem> {
    let SaveSecret { name, environment, value, rules } = request;
    let new = NewSecret { name, environment, value, rules };
    let version = secrets::save(app, visitor, (holder, new)).await?;
    Ok(Json(SavedSecret { version }))
}

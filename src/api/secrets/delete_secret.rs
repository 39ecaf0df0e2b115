//! `DELETE …/secrets?name=…`: no stage gets it any more.

use axum::extract::State;
use axum::http::StatusCode;

use super::body::SecretQuery;
use crate::desk::secrets::{self, Holder};
use crate::http::{App, Path, Problem, Query, Visitor};
use crate::model::Role;

/// Removes a secret of a team.
#[utoipa::path(
    delete, path = "/teams/{team}/secrets", tag = "secrets",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path, description = "Name of the team"), SecretQuery),
    responses((status = 204)),
)]
pub(super) async fn delete_team_secret(
    State(app): State<App>,
    visitor: Visitor,
    Path(team): Path<String>,
    Query(query): Query<SecretQuery>,
) -> Result<StatusCode, Problem> {
    let holder = secrets::of_team(&app, &visitor, (&team, Role::Admin)).await?;
    delete(&app, &visitor, holder, query).await
}

/// Removes a secret of a project.
#[utoipa::path(
    delete, path = "/projects/{team}/{name}/secrets", tag = "secrets",
    extensions(("x-access" = json!("admin"))),
    params(
        ("team" = String, Path, description = "Name of the team"),
        ("name" = String, Path, description = "Name of the project"),
        SecretQuery,
    ),
    responses((status = 204)),
)]
pub(super) async fn delete_project_secret(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    Query(query): Query<SecretQuery>,
) -> Result<StatusCode, Problem> {
    let holder = secrets::of_project(&app, &visitor, ((&team, &name), Role::Admin)).await?;
    delete(&app, &visitor, holder, query).await
}

async fn delete(
    app: &App,
    visitor: &Visitor,
    holder: Holder,
    query: SecretQuery,
) -> Result<StatusCode, Problem> {
    secrets::delete(app, visitor, (holder, query.name, query.environment)).await?;
    Ok(StatusCode::NO_CONTENT)
}

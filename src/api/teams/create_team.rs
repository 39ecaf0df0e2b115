//! `POST /api/v1/teams`: a new team; its maker becomes its first admin.

use axum::extract::State;
use axum::http::StatusCode;

use super::TeamBody;
use crate::http::{App, Json, Problem, Visitor};

/// A team to make.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateTeam {
    /// Its name in addresses: `[a-z0-9_-]{1,63}`.
    name: String,
    /// Its name for people.
    #[serde(default)]
    title: String,
}

/// Makes a team.
#[utoipa::path(
    post, path = "/teams", tag = "teams",
    extensions(("x-access" = json!("owner"))),
    request_body = CreateTeam,
    responses((status = 201, body = TeamBody)),
)]
pub(super) async fn create_team(
    State(app): State<App>,
    visitor: Visitor,
    Json(request): Json<CreateTeam>,
) -> Result<(StatusCode, Json<TeamBody>), Problem> {
    let named = (request.name, request.title);
    let row = crate::desk::teams::create(&app, &visitor, named).await?;
    Ok((StatusCode::CREATED, Json(row.into())))
}

//! `GET /api/v1/teams/{team}`: one team.

use axum::extract::State;

use super::TeamBody;
use crate::http::{App, Json, Path, Problem, Visitor};
use crate::model::Role;

/// Shows a team.
#[utoipa::path(
    get, path = "/teams/{team}", tag = "teams",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path, description = "Its name")),
    responses((status = 200, body = TeamBody)),
)]
pub(super) async fn show_team(
    State(app): State<App>,
    visitor: Visitor,
    Path(team): Path<String>,
) -> Result<Json<TeamBody>, Problem> {
    Ok(Json(super::find(&app, &visitor, &team, Role::Viewer).await?.into()))
}

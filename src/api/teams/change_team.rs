//! `PATCH /api/v1/teams/{team}`: its name for people.

use axum::extract::State;

use super::TeamBody;
use crate::http::{App, Json, Path, Problem, Visitor};

/// What changes of a team.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeTeam {
    /// Its name for people: 1 to 100 characters.
    title: String,
}

/// Changes a team.
#[utoipa::path(
    patch, path = "/teams/{team}", tag = "teams",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path, description = "Its name")),
    request_body = ChangeTeam,
    responses((status = 200, body = TeamBody)),
)]
pub(super) async fn change_team(
    State(app): State<App>,
    visitor: Visitor,
    Path(team): Path<String>,
    Json(request): Json<ChangeTeam>,
) -> Result<Json<TeamBody>, Problem> {
    let wanted = (team.as_str(), request.title.as_str());
    Ok(Json(crate::desk::teams::change_title(&app, &visitor, wanted).await?.into()))
}

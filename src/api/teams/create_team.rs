//! `POST /api/v1/teams`: a new team; its maker becomes its first admin.

use axum::extract::State;
use axum::http::StatusCode;

use super::TeamBody;
use crate::http::{App, Json, Problem, Visitor};
use crate::model::access::is_name;
use crate::model::{Role, TeamId};
use crate::store::access::teams::TeamRow;

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
    visitor.require_owner()?;
    if !is_name(&request.name) {
        return Err(Problem::bad_request("a name has 1 to 63 of `a-z`, `0-9`, `-` and `_`"));
    }
    let title = if request.title.is_empty() { request.name.clone() } else { request.title };
    let id = TeamId(app.new_id());
    let row = TeamRow { id, name: request.name, title, weight: 1, created_at: app.now() };
    app.store.insert_team(&row).await?;
    app.store.save_member(&row.id, &visitor.0.person, Role::Admin, app.now()).await?;
    Ok((StatusCode::CREATED, Json(row.into())))
}

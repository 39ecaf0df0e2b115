//! `PUT /api/v1/teams/{team}/members/{login}`: makes somebody a member, or changes their role.

use axum::Extension;
use axum::extract::State;

use super::MemberBody;
use crate::http::{App, Detail, Json, Path, Problem, Visitor};

/// What a member may do.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveMember {
    /// `viewer`, `developer`, `approver` or `admin`.
    role: String,
}

/// Makes a member.
#[utoipa::path(
    put, path = "/teams/{team}/members/{login}", tag = "teams",
    extensions(("x-access" = json!("admin"))),
    params(
        ("team" = String, Path, description = "Name of the team"),
        ("login" = String, Path, description = "Their login"),
    ),
    request_body = SaveMember,
    responses((status = 200, body = MemberBody)),
)]
pub(super) async fn save_member(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, login)): Path<(String, String)>,
    Json(request): Json<SaveMember>,
) -> Result<(Extension<Detail>, Json<MemberBody>), Problem> {
    let wanted = (team.as_str(), login.as_str(), request.role.as_str());
    let (login, role) = crate::desk::teams::save_member(&app, &visitor, wanted).await?;
    let noted = Detail::default().with("role", role.as_str());
    Ok((Extension(noted), Json(MemberBody { login, role: role.to_string() })))
}

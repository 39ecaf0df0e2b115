//! `PUT /api/v1/teams/{team}/members/{login}`: makes somebody a member, or changes their role.

use axum::extract::State;

use super::MemberBody;
use crate::http::{App, Json, Path, Problem, Visitor};
use crate::model::Role;

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
) -> Result<Json<MemberBody>, Problem> {
    let team = super::find(&app, &visitor, &team, Role::Admin).await?;
    let unknown = || Problem::bad_request("`role` is `viewer`, `developer`, `approver` or `admin`");
    let role = Role::parse(&request.role).ok_or_else(unknown)?;
    let person = app.store.find_person(&login.to_lowercase()).await?;
    let person = person.ok_or_else(|| Problem::not_found("this person"))?;
    app.store.save_member(&team.id, &person.id, role, app.now()).await?;
    Ok(Json(MemberBody { login: person.login, role: role.to_string() }))
}

//! `DELETE /api/v1/teams/{team}/members/{login}`: ends a membership, at once.

use axum::extract::State;
use axum::http::StatusCode;

use crate::http::{App, Path, Problem, Visitor};
use crate::model::Role;

/// Ends a membership.
#[utoipa::path(
    delete, path = "/teams/{team}/members/{login}", tag = "teams",
    extensions(("x-access" = json!("admin"))),
    params(
        ("team" = String, Path, description = "Name of the team"),
        ("login" = String, Path, description = "Their login"),
    ),
    responses((status = 204)),
)]
pub(super) async fn delete_member(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, login)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let team = super::find(&app, &visitor, &team, Role::Admin).await?;
    let login = login.to_lowercase();
    let members = app.store.list_members(&team.id).await?;
    let member = members.into_iter().find(|it| it.login == login);
    let member = member.ok_or_else(|| Problem::not_found("this member"))?;
    app.store.delete_member(&team.id, &member.person).await?;
    Ok(StatusCode::NO_CONTENT)
}

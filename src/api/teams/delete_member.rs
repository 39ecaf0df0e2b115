//! `DELETE /api/v1/teams/{team}/members/{login}`: ends a membership, at once.

use axum::extract::State;
use axum::http::StatusCode;

use crate::http::{App, Path, Problem, Visitor};

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
    crate::desk::teams::delete_member(&app, &visitor, (&team, &login)).await?;
    Ok(StatusCode::NO_CONTENT)
}

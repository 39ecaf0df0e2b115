//! `DELETE /api/v1/sessions/{session}`: ends a session of the person who calls.

use axum::extract::State;
use axum::http::StatusCode;

use crate::http::{App, Path, Problem, Visitor};

/// Ends a session, at once.
#[utoipa::path(
    delete, path = "/sessions/{session}", tag = "sign-in",
    extensions(("x-access" = json!("signed-in"))),
    params(("session" = String, Path, description = "Its id")),
    responses((status = 204)),
)]
pub(super) async fn revoke_session(
    State(app): State<App>,
    visitor: Visitor,
    Path(session): Path<String>,
) -> Result<StatusCode, Problem> {
    crate::desk::account::revoke_session(&app, &visitor, &session).await?;
    Ok(StatusCode::NO_CONTENT)
}

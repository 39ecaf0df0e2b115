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
    visitor.require_whole()?;
    let revoked = app.store.revoke_session(&visitor.0.person, &session, app.now()).await?;
    revoked.then_some(StatusCode::NO_CONTENT).ok_or_else(|| Problem::not_found("this session"))
}

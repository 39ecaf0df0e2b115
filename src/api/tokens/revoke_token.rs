//! `DELETE /api/v1/tokens/{token}`: ends a token of the person who calls, at once.

use axum::extract::State;
use axum::http::StatusCode;

use crate::http::{App, Path, Problem, Visitor};

/// Ends a token. One that speaks only for a part of its person can only end itself.
#[utoipa::path(
    delete, path = "/tokens/{token}", tag = "tokens",
    extensions(("x-access" = json!("signed-in"))),
    params(("token" = String, Path, description = "Its id")),
    responses((status = 204)),
)]
pub(super) async fn revoke_token(
    State(app): State<App>,
    visitor: Visitor,
    Path(token): Path<String>,
) -> Result<StatusCode, Problem> {
    crate::desk::account::revoke_token(&app, &visitor, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}

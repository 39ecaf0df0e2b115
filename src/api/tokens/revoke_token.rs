//! `DELETE /api/v1/tokens/{token}`: ends a token of the person who calls, at once.

use axum::extract::State;
use axum::http::StatusCode;

use crate::auth::Proof;
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
    let is_itself = matches!(&visitor.0.proof, Proof::Token(own, _) if *own == token);
    if !is_itself {
        visitor.require_whole()?;
    }
    let revoked = app.store.revoke_token(&visitor.0.person, &token, app.now()).await?;
    revoked.then_some(StatusCode::NO_CONTENT).ok_or_else(|| Problem::not_found("this token"))
}

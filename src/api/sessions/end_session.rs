//! `DELETE /api/v1/session`: signs out.

use axum::extract::State;
use axum::http::StatusCode;

use super::cookies;
use crate::auth::Proof;
use crate::http::{App, Problem, SetCookies, Visitor};

/// Ends the session of this browser, at once.
#[utoipa::path(
    delete, path = "/session", tag = "sign-in",
    extensions(("x-access" = json!("signed-in"))),
    responses((status = 204)),
)]
pub(super) async fn end_session(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<(StatusCode, SetCookies), Problem> {
    match &visitor.0.proof {
        Proof::Session(id) => {
            app.store.revoke_session(&visitor.0.person, id, app.now()).await?;
            Ok((StatusCode::NO_CONTENT, cookies(&app).clear()))
        }
        Proof::Token(..) => Err(Problem::bad_request("a token has no session")
            .with_help("End a token with `DELETE /api/v1/tokens/{token}`.")),
    }
}

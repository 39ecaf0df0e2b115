//! Goes on with a session whose JWT has run out. It lies where browsers send the refresh token.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::ReturnTo;
use crate::auth::AuthError;
use crate::http::{App, Newcomer, Problem, Query};
use crate::ui::form::{encoded, onward};

/// Below the path of the cookie with the refresh token.
pub(in crate::ui) const RESUME: &str = "/api/v1/session/resume";

/// Back to the page with new cookies; to the sign-in where there is no session to go on with. The cookies are
/// strict, so no other site can have this done.
pub(super) async fn go_on(
    State(app): State<App>,
    _newcomer: Newcomer,
    headers: HeaderMap,
    Query(to): Query<ReturnTo>,
) -> Result<Response, Problem> {
    let cookies = super::cookies(&app);
    let refreshed = match cookies.refresh(&headers) {
        Some(shown) => app.auth.refresh_session(shown).await,
        None => Err(AuthError::Unproven),
    };
    match refreshed {
        Ok(signed_in) => Ok(super::onward_with(cookies.set(&signed_in), to.path())),
        Err(AuthError::Unproven) => {
            Ok(onward(&format!("/sign-in?return_to={}", encoded(to.path()))))
        }
        Err(error) => Err(error.into()),
    }
}

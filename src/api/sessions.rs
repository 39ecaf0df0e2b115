//! Sign-in and the sessions of the person who calls.

mod sign_in;
mod oidc;
mod refresh_session;
mod end_session;
mod list_sessions;
mod revoke_session;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::SignedIn;
use crate::http::{App, Cookies, Json, SetCookies};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(oidc::begin_oidc))
        .routes(routes!(oidc::finish_oidc))
        .routes(routes!(refresh_session::refresh_session))
        .routes(routes!(end_session::end_session))
        .routes(routes!(list_sessions::list_sessions))
        .routes(routes!(revoke_session::revoke_session))
}

/// A session that goes on. The session itself is in cookies.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct SessionStarted {
    /// Login of the person.
    login: String,
    /// What unsafe requests repeat in the header `X-CSRF-Token`; also in the cookie `trunkline-csrf`.
    csrf: String,
    /// In how many seconds it has to be refreshed.
    seconds: i64,
}

/// The cookies and the body of a session that goes on.
fn answer(app: &App, signed_in: SignedIn) -> (SetCookies, Json<SessionStarted>) {
    let cookies = cookies(app).set(&signed_in);
    let SignedIn { person, csrf, access_seconds, .. } = signed_in;
    (cookies, Json(SessionStarted { login: person.login, csrf, seconds: access_seconds }))
}

fn cookies(app: &App) -> Cookies {
    Cookies::new(app.auth.settings().is_https())
}

//! `POST /api/v1/session/refresh`: the next JWT, for a refresh token that is good once.

use axum::extract::State;
use axum::http::HeaderMap;

use super::{SessionStarted, answer, cookies};
use crate::http::{App, Json, Newcomer, Problem, SameOrigin, SetCookies};

/// Goes on with a session.
#[utoipa::path(
    post, path = "/session/refresh", tag = "sign-in",
    extensions(("x-access" = json!("public"))),
    responses((status = 200, body = SessionStarted)),
)]
pub(super) async fn refresh_session(
    State(app): State<App>,
    _newcomer: Newcomer,
    headers: HeaderMap,
    _ours: SameOrigin,
) -> Result<(SetCookies, Json<SessionStarted>), Problem> {
    let shown = cookies(&app).refresh(&headers).ok_or_else(Problem::unauthenticated)?;
    let signed_in = app.auth.refresh_session(shown).await?;
    Ok(answer(&app, signed_in))
}

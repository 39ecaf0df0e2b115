//! `POST /api/v1/sign-in`: with login and password.

use axum::extract::State;

use super::{SessionStarted, answer};
use crate::auth::{AuthError, SignIn};
use crate::http::{App, Json, Newcomer, Problem, ProblemKind, SetCookies};

/// Who signs in.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignInRequest {
    /// Login.
    login: String,
    /// Password.
    password: String,
}

/// Begins a session.
#[utoipa::path(
    post, path = "/sign-in", tag = "sign-in",
    extensions(("x-access" = json!("public"))),
    request_body = SignInRequest,
    responses((status = 200, body = SessionStarted)),
)]
pub(super) async fn sign_in(
    State(app): State<App>,
    Newcomer(client): Newcomer,
    Json(request): Json<SignInRequest>,
) -> Result<(SetCookies, Json<SessionStarted>), Problem> {
    let attempt = SignIn { login: request.login, password: request.password, client };
    let refused = |error: AuthError| {
        if matches!(error, AuthError::Unproven) {
            let title = "the login or the password is wrong";
            Problem::new(ProblemKind::Unauthenticated, title)
        } else {
            error.into()
        }
    };
    let signed_in = app.auth.sign_in(attempt).await.map_err(refused)?;
    Ok(answer(&app, signed_in))
}

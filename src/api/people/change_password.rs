//! `POST /api/v1/me/password`: another password of the one who calls.

use axum::extract::State;
use axum::http::StatusCode;

use crate::auth::OwnPassword;
use crate::http::{App, Json, Problem, Visitor};

/// The old password and the new one.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePassword {
    /// The one that is good until now.
    old_password: String,
    /// The one that is good from now on: 15 to 256 characters.
    new_password: String,
}

/// Changes the caller's own password; their other sessions end, tokens stay.
#[utoipa::path(
    post, path = "/me/password", tag = "people",
    extensions(("x-access" = json!("signed-in"))),
    request_body = ChangePassword,
    responses((status = 204)),
)]
pub(super) async fn change_password(
    State(app): State<App>,
    visitor: Visitor,
    Json(request): Json<ChangePassword>,
) -> Result<StatusCode, Problem> {
    let change = OwnPassword { old: request.old_password, new: request.new_password };
    crate::desk::account::change_password(&app, &visitor, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

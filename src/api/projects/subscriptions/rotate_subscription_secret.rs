//! `POST /api/v1/teams/{team}/subscriptions/{subscription}/secret`: another secret, shown once.

use axum::extract::State;

use super::body::SigningSecret;
use crate::http::{App, Json, Path, Problem, Visitor};
use crate::model::Role;

/// Makes a new signing secret; for a day the one before signs too.
#[utoipa::path(
    post, path = "/teams/{team}/subscriptions/{subscription}/secret", tag = "notifications",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path), ("subscription" = String, Path)),
    responses((status = 200, body = SigningSecret)),
)]
pub(super) async fn rotate_subscription_secret(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, id)): Path<(String, String)>,
) -> Result<Json<SigningSecret>, Problem> {
    let row = super::find(&app, &visitor, ((&team, &id), Role::Admin)).await?;
    let notifications = super::notifications(&app)?;
    let secret = notifications.rotate_subscription_secret(row, &visitor.0.login).await?;
    Ok(Json(SigningSecret { secret }))
}

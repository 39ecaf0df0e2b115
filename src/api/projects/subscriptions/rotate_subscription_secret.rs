//! `POST /api/v1/teams/{team}/subscriptions/{subscription}/secret`: another secret, shown once.

use axum::extract::State;

use super::body::SigningSecret;
use crate::desk::projects::subscriptions;
use crate::http::{App, Json, Path, Problem, Visitor};

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
    let secret = subscriptions::rotate_secret(&app, &visitor, (&team, &id)).await?;
    Ok(Json(SigningSecret { secret }))
}

//! `DELETE /api/v1/teams/{team}/subscriptions/{subscription}`: nobody is told any more.

use axum::extract::State;
use axum::http::StatusCode;

use crate::desk::projects::subscriptions;
use crate::http::{App, Path, Problem, Visitor};

/// Removes a subscription, and what waits for it.
#[utoipa::path(
    delete, path = "/teams/{team}/subscriptions/{subscription}", tag = "notifications",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path), ("subscription" = String, Path)),
    responses((status = 204)),
)]
pub(super) async fn delete_subscription(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    subscriptions::delete(&app, &visitor, (&team, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

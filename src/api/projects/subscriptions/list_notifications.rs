//! `GET /api/v1/teams/{team}/subscriptions/{subscription}/notifications`: what was sent, and what came of it.

use axum::extract::State;

use super::body::NotificationBody;
use crate::desk::projects::subscriptions;
use crate::http::{App, Json, Page, Path, Problem, Visitor};

/// Lists the newest notifications of a subscription.
#[utoipa::path(
    get, path = "/teams/{team}/subscriptions/{subscription}/notifications", tag = "notifications",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path), ("subscription" = String, Path)),
    responses((status = 200, body = Page<NotificationBody>)),
)]
pub(super) async fn list_notifications(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, id)): Path<(String, String)>,
) -> Result<Json<Page<NotificationBody>>, Problem> {
    let rows = subscriptions::list_notifications(&app, &visitor, (&team, &id)).await?;
    Ok(Json(Page { items: rows.into_iter().map(NotificationBody::from).collect(), next: None }))
}

//! `GET /api/v1/teams/{team}/subscriptions`: who is told what, and whether it arrives.

use axum::extract::State;

use super::body::SubscriptionBody;
use crate::desk::projects::subscriptions;
use crate::http::{App, Json, Page, Path, Problem, Visitor};

/// Lists the subscriptions of a team.
#[utoipa::path(
    get, path = "/teams/{team}/subscriptions", tag = "notifications",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path, description = "Name of the team")),
    responses((status = 200, body = Page<SubscriptionBody>)),
)]
pub(super) async fn list_subscriptions(
    State(app): State<App>,
    visitor: Visitor,
    Path(team): Path<String>,
) -> Result<Json<Page<SubscriptionBody>>, Problem> {
    let rows = subscriptions::list(&app, &visitor, &team).await?;
    Ok(Json(Page { items: rows.into_iter().map(SubscriptionBody::from).collect(), next: None }))
}

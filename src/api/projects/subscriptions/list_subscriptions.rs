//! `GET /api/v1/teams/{team}/subscriptions`: who is told what, and whether it arrives.

use axum::extract::State;

use super::body::SubscriptionBody;
use crate::http::{App, Json, Page, Path, Problem, Visitor};
use crate::model::Role;

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
    let found = app.store.find_team(&team).await?;
    let team = found.ok_or_else(|| Problem::not_found("this team"))?.id;
    visitor.require(&team, Role::Viewer, "this team")?;
    let rows = app.store.list_subscriptions(&team).await?;
    Ok(Json(Page { items: rows.into_iter().map(SubscriptionBody::from).collect(), next: None }))
}

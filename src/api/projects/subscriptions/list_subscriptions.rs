//! `GET /api/v1/teams/{team}/subscriptions`: who is told what, and whether it arrives.

use axum::extract::State;

use super::body::SubscriptionBody;
use crate::desk::projects::subscriptions;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Path, Problem, Query, Visitor};

/// Lists the subscriptions of a team.
#[utoipa::path(
    get, path = "/teams/{team}/subscriptions", tag = "notifications",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path, description = "Name of the team"), PageQuery),
    responses((status = 200, body = Page<SubscriptionBody>)),
)]
pub(super) async fn list_subscriptions(
    State(app): State<App>,
    visitor: Visitor,
    Path(team): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<SubscriptionBody>>, Problem> {
    let rows = subscriptions::list(&app, &visitor, &team).await?;
    let page = Page::of_all(rows, &page.checked(CursorForm::Id)?, |it| it.id.clone());
    let items = page.items.into_iter().map(SubscriptionBody::from).collect();
    Ok(Json(Page { items, next: page.next }))
}

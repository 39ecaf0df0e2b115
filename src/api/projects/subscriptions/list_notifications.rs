//! `GET /api/v1/teams/{team}/subscriptions/{subscription}/notifications`: what was sent, and what came of it.

use axum::extract::State;

use super::body::NotificationBody;
use crate::desk::projects::subscriptions;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Path, Problem, Query, Visitor};

/// Lists the newest notifications of a subscription.
#[utoipa::path(
    get, path = "/teams/{team}/subscriptions/{subscription}/notifications", tag = "notifications",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path), ("subscription" = String, Path), PageQuery),
    responses((status = 200, body = Page<NotificationBody>)),
)]
pub(super) async fn list_notifications(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, id)): Path<(String, String)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<NotificationBody>>, Problem> {
    let rows = subscriptions::list_notifications(&app, &visitor, (&team, &id)).await?;
    let page = Page::newest_of_all(rows, &page.checked(CursorForm::Id)?, |it| it.id.clone());
    let items = page.items.into_iter().map(NotificationBody::from).collect();
    Ok(Json(Page { items, next: page.next }))
}

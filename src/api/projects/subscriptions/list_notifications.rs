//! `GET /api/v1/teams/{team}/subscriptions/{subscription}/notifications`: what was sent, and what came of it.

use axum::extract::State;

use super::body::NotificationBody;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Path, Problem, Query, Visitor};
use crate::model::Role;

/// The newest ones that are shown.
const SHOWN_MAX: u32 = 100;

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
    let row = super::find(&app, &visitor, ((&team, &id), Role::Viewer)).await?;
    let rows = app.store.list_notifications(&row.id, SHOWN_MAX).await?;
    let page = Page::newest_of_all(rows, &page.checked(CursorForm::Id)?, |it| it.id.clone());
    let items = page.items.into_iter().map(NotificationBody::from).collect();
    Ok(Json(Page { items, next: page.next }))
}

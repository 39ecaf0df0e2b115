//! `GET /api/v1/teams/{team}/subscriptions`: who is told what, and whether it arrives.

use axum::extract::State;

use super::body::SubscriptionBody;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Path, Problem, Query, Visitor};
use crate::model::Role;

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
    let found = app.store.find_team(&team).await?;
    let team = found.ok_or_else(|| Problem::not_found("this team"))?.id;
    visitor.require(&team, Role::Viewer, "this team")?;
    let rows = app.store.list_subscriptions(&team).await?;
    let page = Page::of_all(rows, &page.checked(CursorForm::Id)?, |it| it.id.clone());
    let items = page.items.into_iter().map(SubscriptionBody::from).collect();
    Ok(Json(Page { items, next: page.next }))
}

//! `GET …/gateway-keys`: names, what they may, and when they were used last.

use axum::extract::State;

use crate::desk::server::app_keys;
use crate::desk::server::app_keys::view::GatewayKeyView;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Path, Problem, Query, Visitor};

/// Lists the keys of a team's apps; those that work no more too
#[utoipa::path(
    get, path = "/teams/{team}/gateway-keys", tag = "gateway-keys",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path, description = "Name of the team"), PageQuery),
    responses((status = 200, body = Page<GatewayKeyView>)),
)]
pub(super) async fn list_gateway_keys(
    State(app): State<App>,
    visitor: Visitor,
    Path(team): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<GatewayKeyView>>, Problem> {
    let rows = app_keys::list(&app, &visitor, &team).await?;
    let page = page.checked(CursorForm::Name)?;
    // Of one name the newest first; the digest itself is nobody's business.
    let placed = rows.into_iter().enumerate().collect();
    let page = Page::of_all(placed, &page, |(place, it): &(usize, _)| cursor(*place, it));
    let now = app.now();
    let items = page.items.into_iter().map(|it| GatewayKeyView::new(it.1, now)).collect();
    Ok(Json(Page { items, next: page.next }))
}

fn cursor(place: usize, row: &crate::store::access::gateway_keys::GatewayKeyRow) -> String {
    format!("{}/{place:04}", row.name)
}

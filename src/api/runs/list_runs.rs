//! `GET /api/v1/runs`: newest first, with filters that can be combined.

use axum::extract::State;

use crate::desk::runs::{self, RunsQuery};
use crate::http::{App, Json, Page, PageQuery, Problem, Query, Visitor};
use crate::runs::view::RunRowView;

/// Lists runs of the caller's teams.
#[utoipa::path(
    get, path = "/runs", tag = "runs",
    extensions(("x-access" = json!("signed-in"))),
    params(RunsQuery, PageQuery),
    responses((status = 200, body = Page<RunRowView>)),
)]
pub(super) async fn list_runs(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<RunsQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<RunRowView>>, Problem> {
    let page = runs::list(&app, &visitor, query, page).await?;
    let items = page.items.iter().map(|it| RunRowView::of(it, false)).collect();
    Ok(Json(Page { items, next: page.next }))
}

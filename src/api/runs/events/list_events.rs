//! `GET /api/v1/runs/{run}/events`: what has happened, oldest first.

use axum::extract::State;

use super::AfterQuery;
use crate::http::{App, Json, Page, PageQuery, Path, Problem, Query, Visitor};
use crate::model::Role;
use crate::runs::view::EventView;

/// Lists what has happened to a run. `after` and `cursor` mean the same.
#[utoipa::path(
    get, path = "/runs/{run}/events", tag = "runs",
    extensions(("x-access" = json!("viewer"))),
    params(("run" = String, Path, description = "Its id, its number, or the beginning of its id"), AfterQuery, PageQuery),
    responses((status = 200, body = Page<EventView>)),
)]
pub(super) async fn list_events(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
    Query(query): Query<AfterQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<EventView>>, Problem> {
    let loaded = crate::api::runs::load(&app, &visitor, &run, Role::Viewer).await?;
    let bad = |_| Problem::bad_request("`cursor` is the sequence number of an event");
    let cursor = page.cursor.as_deref().map(str::parse).transpose().map_err(bad)?;
    let query = AfterQuery { after: cursor.or(query.after) };
    let first = super::first(&query, &axum::http::HeaderMap::new())?;
    let limit = page.limit();
    let stored = app.store.list_some_events(&loaded.row.id, first, limit + 1).await?;
    let events = stored.iter().map(|it| EventView::of(&loaded.run, it)).collect();
    Ok(Json(Page::new(events, limit, |it: &EventView| it.seq.to_string())))
}

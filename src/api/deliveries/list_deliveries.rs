//! `GET /api/v1/projects/{team}/{name}/deliveries`: newest first.

use axum::extract::State;

use super::body::DeliveryBody;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Path, Problem, Query, Visitor};

/// Lists what came in for a project.
#[utoipa::path(
    get, path = "/projects/{team}/{name}/deliveries", tag = "projects",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path), ("name" = String, Path), PageQuery),
    responses((status = 200, body = Page<DeliveryBody>)),
)]
pub(super) async fn list_deliveries(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<DeliveryBody>>, Problem> {
    let slug = format!("{team}/{name}");
    let project = crate::desk::projects::find(&app, &visitor, &slug).await?;
    let page = page.checked(CursorForm::Id)?;
    let (before, limit) = (page.cursor.as_deref(), page.limit());
    let rows = app.store.list_deliveries(&project.id, before, limit + 1).await?;
    let page = Page::new(rows, limit, |it| it.id.clone());
    let items = page.items.into_iter().map(DeliveryBody::from).collect();
    Ok(Json(Page { items, next: page.next }))
}

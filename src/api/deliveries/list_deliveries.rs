//! `GET /api/v1/projects/{team}/{name}/deliveries`: newest first.

use axum::extract::State;

use super::body::DeliveryBody;
use crate::desk::projects::{self, deliveries};
use crate::http::{App, Json, Page, PageQuery, Path, Problem, Query, Visitor};

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
    let project = projects::find(&app, &visitor, &slug).await?;
    let page = deliveries::list(&app, &project, page).await?;
    let mut about = deliveries::about(&app, &project, &page.items).await?;
    let items = page.items.into_iter().map(|it| {
        let known = about.remove(&it.id);
        DeliveryBody::of(it, known)
    });
    let items = items.collect();
    Ok(Json(Page { items, next: page.next }))
}

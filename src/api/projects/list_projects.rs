//! `GET /api/v1/projects`: those of the caller's teams.

use axum::extract::State;

use super::body::ProjectBody;
use crate::auth::Verdict;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Problem, Query, Visitor};
use crate::model::Role;

/// Lists projects.
#[utoipa::path(
    get, path = "/projects", tag = "projects",
    extensions(("x-access" = json!("signed-in"))),
    params(PageQuery),
    responses((status = 200, body = Page<ProjectBody>)),
)]
pub(super) async fn list_projects(
    State(app): State<App>,
    visitor: Visitor,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ProjectBody>>, Problem> {
    let all = app.store.list_projects().await?;
    let visible =
        all.into_iter().filter(|it| visitor.0.judge(&it.team, Role::Viewer) == Verdict::Allowed);
    let rows = visible.map(ProjectBody::from).collect();
    Ok(Json(Page::of_all(rows, &page.checked(CursorForm::Name)?, ProjectBody::slug)))
}

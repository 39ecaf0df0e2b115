//! `GET /api/v1/runs/{run}/artifacts`: what the stages of a run handed on.

use axum::extract::State;

use super::body::ArtifactBody;
use crate::desk::artifacts::RunArtifacts;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Path, Problem, Query, Visitor};

/// Lists the artifacts of a run by stage and path; of several tries of a stage, those of the last.
#[utoipa::path(
    get, path = "/runs/{run}/artifacts", tag = "artifacts",
    extensions(("x-access" = json!("viewer"))),
    params(("run" = String, Path, description = "Its id, its number, or the beginning of its id"), PageQuery),
    responses((status = 200, body = Page<ArtifactBody>)),
)]
pub(super) async fn list_artifacts(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ArtifactBody>>, Problem> {
    let all = RunArtifacts::find(&app, &visitor, &run).await?;
    let rows = all.rows.clone();
    let page = page.checked(CursorForm::Numbered(10, '/'))?;
    let page = Page::of_all(rows, &page, |it| format!("{:010}/{}", it.attempt.stage.0, it.path));
    let items = page.items.iter().map(|it| ArtifactBody::of(&all, it)).collect();
    Ok(Json(Page { items, next: page.next }))
}

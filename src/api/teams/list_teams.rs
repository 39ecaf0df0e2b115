//! `GET /api/v1/teams`: those the caller is in.

use axum::extract::State;

use super::TeamBody;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Problem, Query, Visitor};
use crate::model::Role;

/// Lists teams.
#[utoipa::path(
    get, path = "/teams", tag = "teams",
    extensions(("x-access" = json!("signed-in"))),
    params(PageQuery),
    responses((status = 200, body = Page<TeamBody>)),
)]
pub(super) async fn list_teams(
    State(app): State<App>,
    visitor: Visitor,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TeamBody>>, Problem> {
    let visible = crate::desk::teams::list(&app, &visitor, Role::Viewer).await?;
    let rows = visible.into_iter().map(TeamBody::from).collect();
    Ok(Json(Page::of_all(rows, &page.checked(CursorForm::Name)?, |it: &TeamBody| it.name.clone())))
}

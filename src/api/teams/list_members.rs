//! `GET /api/v1/teams/{team}/members`: by login.

use axum::extract::State;

use super::MemberBody;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Path, Problem, Query, Visitor};
use crate::model::Role;

/// Lists members.
#[utoipa::path(
    get, path = "/teams/{team}/members", tag = "teams",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path, description = "Name of the team"), PageQuery),
    responses((status = 200, body = Page<MemberBody>)),
)]
pub(super) async fn list_members(
    State(app): State<App>,
    visitor: Visitor,
    Path(team): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<MemberBody>>, Problem> {
    let team = super::find(&app, &visitor, &team, Role::Viewer).await?;
    let rows = app.store.list_members(&team.id).await?;
    let rows = rows.into_iter().map(MemberBody::from).collect();
    Ok(Json(Page::of_all(rows, &page.checked(CursorForm::Name)?, |it: &MemberBody| {
        it.login.clone()
    })))
}

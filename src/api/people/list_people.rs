//! `GET /api/v1/people`: everybody, by login.

use axum::extract::State;

use super::PersonBody;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Problem, Query, Visitor};

/// Lists people.
#[utoipa::path(
    get, path = "/people", tag = "people",
    extensions(("x-access" = json!("owner"))),
    params(PageQuery),
    responses((status = 200, body = Page<PersonBody>)),
)]
pub(super) async fn list_people(
    State(app): State<App>,
    visitor: Visitor,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<PersonBody>>, Problem> {
    let rows = crate::desk::server::people::list(&app, &visitor).await?;
    let rows = rows.into_iter().map(PersonBody::from).collect();
    Ok(Json(Page::of_all(rows, &page.checked(CursorForm::Name)?, |it: &PersonBody| {
        it.login.clone()
    })))
}

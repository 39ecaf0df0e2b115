//! `GET /api/v1/people`: everybody, by login.

use axum::Json;
use axum::extract::State;

use super::PersonBody;
use crate::http::{App, Page, Problem, Visitor};

/// Lists people.
#[utoipa::path(
    get, path = "/people", tag = "people",
    extensions(("x-access" = json!("owner"))),
    responses((status = 200, body = Page<PersonBody>)),
)]
pub(super) async fn list_people(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<Json<Page<PersonBody>>, Problem> {
    visitor.require_owner()?;
    let rows = app.store.list_people().await?;
    Ok(Json(Page { items: rows.into_iter().map(PersonBody::from).collect(), next: None }))
}

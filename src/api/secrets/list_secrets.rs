//! `GET …/secrets`: names, rules and versions.

use axum::extract::State;

use super::body::SecretBody;
use crate::desk::secrets::{self, Holder};
use crate::http::{App, Json, Page, PageQuery, Path, Problem, Query, Visitor};
use crate::model::Role;

/// Lists the secrets of a team.
#[utoipa::path(
    get, path = "/teams/{team}/secrets", tag = "secrets",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path, description = "Name of the team"), PageQuery),
    responses((status = 200, body = Page<SecretBody>)),
)]
pub(super) async fn list_team_secrets(
    State(app): State<App>,
    visitor: Visitor,
    Path(team): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<SecretBody>>, Problem> {
    list(&app, secrets::of_team(&app, &visitor, (&team, Role::Viewer)).await?, page).await
}

/// Lists the secrets of a project.
#[utoipa::path(
    get, path = "/projects/{team}/{name}/secrets", tag = "secrets",
    extensions(("x-access" = json!("viewer"))),
    params(
        ("team" = String, Path, description = "Name of the team"),
        ("name" = String, Path, description = "Name of the project"),
        PageQuery,
    ),
    responses((status = 200, body = Page<SecretBody>)),
)]
pub(super) async fn list_project_secrets(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<SecretBody>>, Problem> {
    list(&app, secrets::of_project(&app, &visitor, ((&team, &name), Role::Viewer)).await?, page)
        .await
}

async fn list(
    app: &App,
    holder: Holder,
    page: PageQuery,
) -> Result<Json<Page<SecretBody>>, Problem> {
    let page = secrets::list(app, &holder, page).await?;
    let items = page.items.into_iter().map(SecretBody::from).collect();
    Ok(Json(Page { items, next: page.next }))
}

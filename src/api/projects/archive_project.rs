//! `DELETE /api/v1/projects/{team}/{name}`: nothing starts its runs any more; those that were stay.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::body::ProjectBody;
use crate::http::{App, Path, Problem, Visitor, check_if_match};

/// Archives a project: what was run stays, and nothing new starts. `PATCH` with `archived: false` undoes it.
#[utoipa::path(
    delete, path = "/projects/{team}/{name}", tag = "projects",
    extensions(("x-access" = json!("admin"))),
    params(
        ("team" = String, Path),
        ("name" = String, Path),
        ("if-match" = Option<String>, Header, description = "The `ETag` that it was seen with"),
    ),
    responses((status = 204)),
)]
pub(super) async fn archive_project(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let before = super::find_to_change(&app, &visitor, &format!("{team}/{name}")).await?;
    check_if_match(&headers, &ProjectBody::from(before.clone()))?;
    crate::desk::projects::archive(&app, &before).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! `PATCH /api/v1/projects/{team}/{name}`: changes what is named, and leaves the rest.

use axum::extract::State;
use axum::http::{HeaderMap, header};

use super::body::ProjectBody;
use crate::http::{App, Json, Path, Problem, Visitor, changed_since, check_if_match};
use crate::model::{ForgeKind, Role};
use crate::store::StoreError;
use crate::store::access::projects::ProjectRow;

/// What changes of a project; what is left out stays.
#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeProject {
    /// Where the code is fetched from.
    address: Option<String>,
    /// `github`, `gitlab`, `gitea` or `git`.
    forge: Option<String>,
    /// Base address of the forge's API; empty for that of the public one.
    forge_url: Option<String>,
    /// `owner/name` at the forge, or empty.
    forge_path: Option<String>,
    /// The trunk.
    default_branch: Option<String>,
    /// Higher is served first within the team.
    priority: Option<i64>,
    /// How often the remote is asked for news, in seconds; 0 for never.
    #[schema(minimum = 0)]
    poll_seconds: Option<i64>,
    /// Whether nothing starts its runs any more.
    archived: Option<bool>,
}

/// Changes a project. With `If-Match` only if it still is as it was seen.
#[utoipa::path(
    patch, path = "/projects/{team}/{name}", tag = "projects",
    extensions(("x-access" = json!("admin"))),
    params(
        ("team" = String, Path),
        ("name" = String, Path),
        ("if-match" = Option<String>, Header, description = "The `ETag` that it was seen with"),
    ),
    request_body = ChangeProject,
    responses((status = 200, body = ProjectBody)),
)]
pub(super) async fn change_project(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(request): Json<ChangeProject>,
) -> Result<Json<ProjectBody>, Problem> {
    let before = super::find(&app, &visitor, &format!("{team}/{name}")).await?;
    visitor.require(&before.team, Role::Admin, "this project")?;
    check_if_match(&headers, &ProjectBody::from(before.clone()))?;
    let after = changed(&app, before.clone(), request)?;
    match app.store.change_project(&before, &after).await {
        Err(StoreError::Conflict { .. }) if headers.contains_key(header::IF_MATCH) => {
            Err(changed_since())
        }
        done => done.map(|()| Json(after.into())).map_err(Problem::from),
    }
}

fn changed(app: &App, before: ProjectRow, request: ChangeProject) -> Result<ProjectRow, Problem> {
    if let Some(address) = &request.address {
        super::check_address(app, address)?;
    }
    let forge = match &request.forge {
        Some(word) => ForgeKind::parse(word).ok_or_else(super::bad_forge)?,
        None => before.forge,
    };
    let archived_at = match request.archived {
        Some(true) => before.archived_at.or_else(|| Some(app.now())),
        Some(false) => None,
        None => before.archived_at,
    };
    Ok(ProjectRow {
        address: request.address.unwrap_or(before.address),
        forge,
        forge_url: request.forge_url.unwrap_or(before.forge_url),
        forge_path: request.forge_path.unwrap_or(before.forge_path),
        default_branch: request.default_branch.unwrap_or(before.default_branch),
        priority: request.priority.unwrap_or(before.priority),
        poll_seconds: request.poll_seconds.map_or(before.poll_seconds, |it| it.max(0)),
        archived_at,
        ..before
    })
}

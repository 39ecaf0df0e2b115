//! `PATCH /api/v1/projects/{team}/{name}`: changes what is named, and leaves the rest.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, header};

use super::body::ProjectBody;
use crate::desk::projects::{self, ProjectChange, changed};
use crate::http::{App, Detail, Json, Path, Problem, Visitor, changed_since, check_if_match};
use crate::store::StoreError;

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

impl From<ChangeProject> for ProjectChange {
    fn from(it: ChangeProject) -> Self {
        Self {
            address: it.address,
            forge: it.forge,
            forge_url: it.forge_url,
            forge_path: it.forge_path,
            default_branch: it.default_branch,
            priority: it.priority,
            poll_seconds: it.poll_seconds,
            archived: it.archived,
        }
    }
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
) -> Result<(Extension<Detail>, Json<ProjectBody>), Problem> {
    let before = super::find_to_change(&app, &visitor, &format!("{team}/{name}")).await?;
    check_if_match(&headers, &ProjectBody::from(before.clone()))?;
    let after = changed(&app, before.clone(), request.into())?;
    match projects::save(&app, &before, &after).await {
        Err(StoreError::Conflict { .. }) if headers.contains_key(header::IF_MATCH) => {
            Err(changed_since())
        }
        done => {
            done?;
            Ok((Extension(projects::noted(&before, &after)), Json(after.into())))
        }
    }
}

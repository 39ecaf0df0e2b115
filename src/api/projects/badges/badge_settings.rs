//! `…/projects/{team}/{name}/badge`: who may see the badges of a project.

use axum::extract::State;
use axum::http::HeaderMap;

use crate::desk::projects::{self, settings};
use crate::http::{App, Json, Path, Problem, Visitor, check_if_match};
use crate::store::access::projects::ProjectRow;
use crate::store::intake::badges::BadgeAccess;

/// Who may see the badges of a project.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct BadgeBody {
    /// Whether everybody may.
    public: bool,
    /// What others show as `?token=`; absent when that is not possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Path of the picture at this server, for the pipeline `ci`.
    example: String,
}

/// What changes.
#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveBadge {
    /// Whether everybody may see them.
    public: bool,
    /// `keep`, `rotate` for a new token (the one before shows nothing any more), or `remove`.
    #[serde(default = "keep")]
    token: String,
}

fn keep() -> String {
    "keep".to_owned()
}

fn body(project: &ProjectRow, access: BadgeAccess) -> BadgeBody {
    let example = settings::badge_path(project, &access, "ci");
    let token = Some(access.token).filter(|it| !it.is_empty());
    BadgeBody { public: access.is_public, token, example }
}

/// Shows who may see the badges of a project.
#[utoipa::path(
    get, path = "/projects/{team}/{name}/badge", tag = "badges",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = BadgeBody)),
)]
pub(super) async fn show_badge_settings(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
) -> Result<Json<BadgeBody>, Problem> {
    let project = projects::find(&app, &visitor, &format!("{team}/{name}")).await?;
    let access = settings::show_badge(&app, &project).await?;
    Ok(Json(body(&project, access)))
}

/// Says who may see the badges of a project.
#[utoipa::path(
    put, path = "/projects/{team}/{name}/badge", tag = "badges",
    extensions(("x-access" = json!("admin"))),
    params(
        ("team" = String, Path),
        ("name" = String, Path),
        ("if-match" = Option<String>, Header, description = "The `ETag` that it was seen with"),
    ),
    request_body = SaveBadge,
    responses((status = 200, body = BadgeBody)),
)]
pub(super) async fn save_badge_settings(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(request): Json<SaveBadge>,
) -> Result<Json<BadgeBody>, Problem> {
    let project = projects::find_to_change(&app, &visitor, &format!("{team}/{name}")).await?;
    check_if_match(&headers, &body(&project, settings::show_badge(&app, &project).await?))?;
    let wanted = (request.public, request.token.as_str());
    let access = settings::save_badge(&app, &project, wanted).await?;
    Ok(Json(body(&project, access)))
}

//! `…/projects/{team}/{name}/badge`: who may see the badges of a project.

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::http::{App, Json, Path, Problem, Visitor};
use crate::model::Role;
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

fn body((team, name): (&str, &str), access: BadgeAccess) -> BadgeBody {
    let token = Some(access.token).filter(|it| !it.is_empty());
    let query = match &token {
        Some(token) if !access.is_public => format!("?token={token}"),
        _ => String::new(),
    };
    let example = format!("/badges/{team}/{name}/ci.svg{query}");
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
    let project = crate::desk::projects::find(&app, &visitor, &format!("{team}/{name}")).await?;
    let access = app.store.find_badge_access(&project.id).await?.unwrap_or_default();
    Ok(Json(body((&team, &name), access)))
}

/// Says who may see the badges of a project.
#[utoipa::path(
    put, path = "/projects/{team}/{name}/badge", tag = "badges",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path), ("name" = String, Path)),
    request_body = SaveBadge,
    responses((status = 200, body = BadgeBody)),
)]
pub(super) async fn save_badge_settings(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    Json(request): Json<SaveBadge>,
) -> Result<Json<BadgeBody>, Problem> {
    let project = crate::desk::projects::find(&app, &visitor, &format!("{team}/{name}")).await?;
    visitor.require(&project.team, Role::Admin, "this project")?;
    let before = app.store.find_badge_access(&project.id).await?.unwrap_or_default();
    let token = match request.token.as_str() {
        "keep" => before.token,
        "rotate" => URL_SAFE_NO_PAD.encode(crate::secrets::random_bytes::<24>()),
        "remove" => String::new(),
        _ => return Err(Problem::bad_request("`token` is `keep`, `rotate` or `remove`")),
    };
    let access = BadgeAccess { is_public: request.public, token };
    app.store.save_badge_access(&project.id, &access).await?;
    Ok(Json(body((&team, &name), access)))
}

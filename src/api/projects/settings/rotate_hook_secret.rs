//! `POST /api/v1/projects/{team}/{name}/hook-secret`: the secret that proves deliveries, shown once.

use axum::extract::State;

use crate::desk::projects::settings;
use crate::http::{App, Json, Path, Problem, Visitor};

/// A secret that the forge has made.
#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateHookSecret {
    /// The secret (GitLab's signing token, for one); without it a new one is made.
    #[serde(default)]
    secret: Option<String>,
}

/// Where a forge sends its deliveries, and what proves them.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct HookBody {
    /// Path of the webhook at this server.
    path: String,
    /// The secret. Shown this once.
    secret: String,
}

/// Makes a new webhook secret; the one before proves nothing from now on.
#[utoipa::path(
    post, path = "/projects/{team}/{name}/hook-secret", tag = "projects",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path), ("name" = String, Path)),
    request_body = RotateHookSecret,
    responses((status = 200, body = HookBody)),
)]
pub(super) async fn rotate_hook_secret(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    Json(request): Json<RotateHookSecret>,
) -> Result<Json<HookBody>, Problem> {
    let project = super::find_to_change(&app, &visitor, &format!("{team}/{name}")).await?;
    let secret = settings::rotate_hook_secret(&app, &project, request.secret).await?;
    Ok(Json(HookBody { path: settings::hook_path(&project), secret }))
}

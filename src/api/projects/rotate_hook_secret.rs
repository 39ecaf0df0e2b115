//! `POST /api/v1/projects/{team}/{name}/hook-secret`: the secret that proves deliveries, shown once.

use axum::extract::State;

use crate::http::{App, Json, Path, Problem, Visitor};
use crate::model::Role;

/// Bytes that a secret of somebody else's making must have.
const SECRET_BYTES_MIN: usize = 16;

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
    let project = super::find(&app, &visitor, &format!("{team}/{name}")).await?;
    visitor.require(&project.team, Role::Admin, "this project")?;
    if request.secret.as_ref().is_some_and(|it| it.len() < SECRET_BYTES_MIN) {
        return Err(Problem::bad_request("`secret` has less than 16 letters"));
    }
    let projects = app.triggers.projects();
    let secret = projects.rotate_hook_secret(&project.id, request.secret).await;
    let secret = secret.map_err(|error| Problem::internal(&error))?;
    let path = format!("{}/hooks/{}", crate::api::PREFIX, project.id.0);
    Ok(Json(HookBody { path, secret }))
}

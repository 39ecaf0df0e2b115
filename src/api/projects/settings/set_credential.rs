//! `PUT /api/v1/projects/{team}/{name}/credential`: what the remote and the forge want to see. Never shown.

use axum::extract::State;
use axum::http::StatusCode;

use crate::desk::projects::settings;
use crate::http::{App, Json, Path, Problem, Visitor};
use crate::projects::StoredCredential;

/// What the remote and the forge want to see.
#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetCredential {
    /// A token: for the remote over HTTPS, and for statuses.
    #[serde(default)]
    token: Option<String>,
    /// Login that goes with the token; empty for what the forge wants there.
    #[serde(default)]
    user: String,
    /// A private key without a passphrase, for the remote over SSH.
    #[serde(default)]
    ssh_key: Option<String>,
}

/// Sets, or with neither token nor key removes, the credential of a project.
#[utoipa::path(
    put, path = "/projects/{team}/{name}/credential", tag = "projects",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path), ("name" = String, Path)),
    request_body = SetCredential,
    responses((status = 204)),
)]
pub(super) async fn set_credential(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    Json(request): Json<SetCredential>,
) -> Result<StatusCode, Problem> {
    let project = super::find_to_change(&app, &visitor, &format!("{team}/{name}")).await?;
    let SetCredential { token, user, ssh_key } = request;
    let credential = StoredCredential { user, forge_token: token, ssh_key };
    settings::set_credential(&app, &project, &credential).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! `DELETE …/gateway-keys/{key}`: within two seconds nobody can call with it.

use axum::extract::State;
use axum::http::StatusCode;

use crate::desk::server::app_keys;
use crate::http::{App, Path, Problem, Visitor};

/// Revokes a key, and those that it has replaced: within two seconds nobody can call with them
#[utoipa::path(
    delete, path = "/teams/{team}/gateway-keys/{key}", tag = "gateway-keys",
    extensions(("x-access" = json!("admin"))),
    params(
        ("team" = String, Path, description = "Name of the team"),
        ("key" = String, Path, description = "Name of the key"),
    ),
    responses((status = 204)),
)]
pub(super) async fn revoke_gateway_key(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, key)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    app_keys::revoke(&app, &visitor, (&team, &key)).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! What clouds read before they trust a stage's token: discovery and public keys. Outside of `/api/v1`, where the
//! standard wants it.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{App, Json, Problem};

/// Keys are published two days before they sign, so an hour is no risk.
const CACHE: [(HeaderName, HeaderValue); 1] =
    [(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"))];

type Cached = ([(HeaderName, HeaderValue); 1], Json<Value>);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show_discovery)).routes(routes!(show_keys))
}

/// Describes this server as an issuer of tokens.
#[utoipa::path(
    get, path = "/.well-known/openid-configuration", tag = "identity",
    extensions(("x-access" = json!("public"))),
    responses((status = 200, body = Object)),
)]
async fn show_discovery(State(app): State<App>) -> Result<Cached, Problem> {
    Ok((CACHE, Json(app.auth.workload_discovery()?)))
}

/// The public keys of this server.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "identity",
    extensions(("x-access" = json!("public"))),
    responses((status = 200, body = Object)),
)]
async fn show_keys(State(app): State<App>) -> Result<Cached, Problem> {
    Ok((CACHE, Json(app.auth.workload_keys().await?)))
}

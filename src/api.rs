//! The JSON interface under `/api/v1`: parse, call, answer. No rules live here. One file an action.

mod runs;
mod teams;
mod projects;
mod secrets;
mod audit;

use axum::Router;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use crate::http::App;

/// Where everything of this version is.
pub const PREFIX: &str = "/api/v1";
/// The longest body of a request.
const BODY_BYTES_MAX: usize = 1 << 20;

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Trunkline",
    description = "Runs, projects and everything else that a Trunkline server knows."
))]
struct Document;

/// All routes, and the OpenAPI document that describes them.
pub fn router() -> (Router<App>, utoipa::openapi::OpenApi) {
    let routes = OpenApiRouter::new()
        .merge(runs::routes())
        .merge(teams::routes())
        .merge(projects::routes())
        .merge(secrets::routes())
        .merge(audit::routes());
    let (router, document) =
        OpenApiRouter::with_openapi(Document::openapi()).nest(PREFIX, routes).split_for_parts();
    let router = router.layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX));
    (router, document)
}

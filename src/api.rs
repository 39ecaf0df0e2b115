//! The JSON interface under `/api/v1`: parse, call, answer. No rules live here. One file an action.

mod well_known;
mod set_up;
mod sessions;
mod me;
mod tokens;
mod people;
mod runs;
mod teams;
mod projects;
mod deliveries;
mod secrets;
mod audit;

use axum::{Router, middleware};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use crate::http::{self, App};

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
        .merge(set_up::routes())
        .merge(sessions::routes())
        .merge(me::routes())
        .merge(tokens::routes())
        .merge(people::routes())
        .merge(runs::routes())
        .merge(teams::routes())
        .merge(projects::routes())
        .merge(deliveries::routes())
        .merge(secrets::routes())
        .merge(audit::routes());
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .merge(well_known::routes())
        .merge(projects::pictures())
        .nest(PREFIX, routes)
        .split_for_parts();
    let router = router.layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX));
    (router, document)
}

/// What a server listens with: all routes, and what every answer says to browsers. Wants to know who calls
/// from where (`into_make_service_with_connect_info`).
pub fn service(app: App) -> Router {
    let (router, _document) = router();
    router.layer(middleware::from_fn_with_state(app.clone(), http::secure)).with_state(app)
}

//! The JSON interface under `/api/v1`: parse, call, answer. No rules live here. One file an action.

mod discovery;
mod set_up;
mod sessions;
mod tokens;
mod people;
mod runs;
mod reports;
mod teams;
mod projects;
mod deliveries;
mod secrets;
mod audit;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Uri;
use axum::{Router, middleware};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use crate::http::{self, App, Beside, Operation, Operations, Problem, ProblemKind};

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
        .merge(tokens::routes())
        .merge(people::routes())
        .merge(runs::routes())
        .merge(reports::routes())
        .merge(teams::routes())
        .merge(projects::routes())
        .merge(deliveries::routes())
        .merge(secrets::routes())
        .merge(audit::routes())
        .merge(discovery::routes());
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .merge(discovery::root_routes())
        .merge(projects::pictures())
        .nest(PREFIX, routes)
        .split_for_parts();
    let document = discovery::complete(document);
    let known = Arc::new(discovery::parameters(&document));
    let router = router
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(known, http::refuse_unknown_parameters));
    (router, document)
}

/// What a server listens with: all routes, and what every answer says to browsers. Wants to know who calls
/// from where (`into_make_service_with_connect_info`).
pub fn service(app: App) -> Router {
    service_with(app, Beside::default())
}

/// The same, with routes beside those of the interface.
pub fn service_with(app: App, beside: Beside) -> Router {
    let (router, document) = router();
    let observed = (app.clone(), operations(&document, &beside.operations));
    let router = router
        .merge(http::health_routes())
        .merge(beside.routes)
        .fallback(async |_uri: Uri| Problem::not_found("this address"))
        .method_not_allowed_fallback(async || {
            let title = "this address does not take requests of this method";
            Problem::new(ProblemKind::MethodNotAllowed, title).with_help("See the header `Allow`.")
        });
    (beside.dress)(router, &app)
        .layer(middleware::from_fn_with_state(app.clone(), http::once))
        .layer(middleware::from_fn(http::tag))
        .layer(middleware::from_fn_with_state(app.clone(), http::secure))
        .layer(CompressionLayer::new().gzip(true).compress_when(packable()))
        .layer(middleware::from_fn(http::tell_packed_apart))
        .layer(middleware::from_fn_with_state(observed, http::observe))
        .with_state(app)
}

/// What is packed: neither streams, which would wait, nor files, which are packed already or large.
fn packable() -> impl Predicate {
    DefaultPredicate::new()
        .and(NotForContentType::const_new("application/octet-stream"))
        .and(NotForContentType::const_new("application/x-tar"))
}

/// The names of operations by method and route.
fn operations(document: &utoipa::openapi::OpenApi, beside: &[Operation]) -> Operations {
    let named = |(method, route, name): &Operation| {
        (((*method).to_owned(), (*route).to_owned()), (*name).to_owned())
    };
    let mut names: BTreeMap<_, _> = beside.iter().map(named).collect();
    for (path, item) in &document.paths.paths {
        let operations = [
            ("POST", &item.post),
            ("PUT", &item.put),
            ("PATCH", &item.patch),
            ("DELETE", &item.delete),
        ];
        for (method, operation) in operations {
            if let Some(name) = operation.as_ref().and_then(|it| it.operation_id.clone()) {
                names.insert((method.to_owned(), path.clone()), name);
            }
        }
    }
    Arc::new(names)
}

//! `GET /api/v1/openapi.json`: this interface, described. And what all of its operations share.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{App, ProblemBody};

static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| crate::api::router().1.to_json().unwrap_or_default());
/// It changes with the program only.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=60");
const KIND: HeaderValue = HeaderValue::from_static("application/json");

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show_document))
}

/// Describes this interface.
#[utoipa::path(
    get, path = "/openapi.json", tag = "api",
    extensions(("x-access" = json!("public"))),
    responses((status = 200, body = Object)),
    security(()),
)]
async fn show_document() -> impl IntoResponse {
    let headers: [(HeaderName, HeaderValue); 2] =
        [(header::CONTENT_TYPE, KIND), (header::CACHE_CONTROL, CACHE)];
    (headers, DOCUMENT.as_str())
}

/// Says of all operations how callers prove who they are, and how everything that goes wrong is told.
pub(in crate::api) fn complete(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_with(Components::new);
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.security_schemes.insert("token".to_owned(), bearer.into());
    components.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    // A parameter that stands for several parts of a path is one as all others to clients.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths =
        paths.into_iter().map(|(it, item)| (it.replace("{*", "{"), item)).collect();
    for item in document.paths.paths.values_mut() {
        let operations =
            [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        operations.into_iter().flatten().for_each(add_problem);
    }
    document
}

fn add_problem(operation: &mut Operation) {
    let schema: RefOr<Schema> = Ref::from_schema_name(ProblemBody::name()).into();
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let problem = ResponseBuilder::new()
        .description("What is wrong, and what to do about it (RFC 9457)")
        .content("application/problem+json", content)
        .build();
    operation.responses.responses.insert("default".to_owned(), problem.into());
}

/// Marks an operation that takes parameters which others choose.
const ANY_QUERY: &str = "x-any-query";

/// Names of the parameters behind `?` by method and route; not of operations that take any.
pub(in crate::api) fn parameters(document: &OpenApi) -> BTreeMap<(String, String), Vec<String>> {
    let mut found = BTreeMap::new();
    for (path, item) in &document.paths.paths {
        let operations = [
            ("GET", &item.get),
            ("POST", &item.post),
            ("PUT", &item.put),
            ("PATCH", &item.patch),
            ("DELETE", &item.delete),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            if !operation.extensions.as_ref().is_some_and(|it| it.contains_key(ANY_QUERY)) {
                found.insert((method.to_owned(), path.clone()), names(operation));
            }
        }
    }
    found
}

fn names(operation: &Operation) -> Vec<String> {
    let all = operation.parameters.iter().flatten().filter_map(|it| match it {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    all.filter(|it| it.parameter_in == ParameterIn::Query).map(|it| it.name.clone()).collect()
}

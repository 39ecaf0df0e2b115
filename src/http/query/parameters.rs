//! Parameters behind `?` that an operation does not have are refused: who asks with a typo is not answered as
//! if nothing had been asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::http::Problem;

/// The parameters that operations have, by method and route as the description names it.
pub type Parameters = Arc<BTreeMap<(String, String), Vec<String>>>;

/// The layer that refuses what an operation does not know. Routes that are not described take what they like.
pub async fn refuse_unknown_parameters(
    State(known): State<Parameters>,
    request: Request,
    next: Next,
) -> Response {
    match unknown(&known, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn unknown(known: &Parameters, request: &Request) -> Option<Problem> {
    request.uri().query().filter(|it| !it.is_empty())?;
    let route = request.extensions().get::<MatchedPath>()?.as_str().replace("{*", "{");
    let method =
        if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let known = known.get(&(method.to_string(), route))?;
    // What cannot be read is told by who reads it.
    let given = Query::<Vec<(String, String)>>::try_from_uri(request.uri()).ok()?.0;
    let (name, _) = given.into_iter().find(|(name, _)| !known.contains(name))?;
    let problem = Problem::bad_request(format!("the parameter `{name}` is not known here"));
    Some(problem.with_help(help(known)))
}

fn help(known: &[String]) -> String {
    if known.is_empty() {
        return "This operation takes none.".to_owned();
    }
    let all: Vec<_> = known.iter().map(|it| format!("`{it}`")).collect();
    format!("Known here: {}.", all.join(", "))
}

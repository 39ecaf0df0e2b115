//! Parameters behind `?` that nothing reads are refused: who asks with a typo is not answered as if nothing had
//! been asked.

mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::{Extensions, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;

use crate::http::Problem;

/// The parameters that operations have, by method and route as the description names it.
pub type Parameters = Arc<BTreeMap<(String, String), Vec<String>>>;

/// The names that those who answer a request have asked for.
#[derive(Debug, Clone, Default)]
struct Read(Arc<Mutex<BTreeSet<&'static str>>>);

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

/// The layer that refuses what the page has not asked for, of routes that are not described. What `always` names is
/// known everywhere, and not told.
pub async fn refuse_unread_parameters(
    State(always): State<&'static [&'static str]>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut given = if request.method() == Method::GET { given(&request) } else { Vec::new() };
    given.retain(|it| !always.contains(&it.as_str()));
    if given.is_empty() {
        return next.run(request).await;
    }
    let read = Read::default();
    request.extensions_mut().insert(read.clone());
    let response = next.run(request).await;
    if !response.status().is_success() {
        return response;
    }
    let known: Vec<_> =
        read.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
    refusal(&given, &known).map_or(response, Problem::into_response)
}

/// Tells the layer what is read of the parameters of a request.
pub(in crate::http) fn note<T: DeserializeOwned>(extensions: &Extensions) {
    if let Some(read) = extensions.get::<Read>() {
        let mut read = read.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.extend(names::of::<T>());
    }
}

fn unknown(known: &Parameters, request: &Request) -> Option<Problem> {
    let given = given(request);
    let route = request.extensions().get::<MatchedPath>()?.as_str().replace("{*", "{");
    let method =
        if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let known: Vec<_> =
        known.get(&(method.to_string(), route))?.iter().map(String::as_str).collect();
    refusal(&given, &known)
}

/// Names of the parameters of a request. What cannot be read is told by who reads it.
fn given(request: &Request) -> Vec<String> {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    pairs.map(|it| it.0.into_iter().map(|(name, _)| name).collect()).unwrap_or_default()
}

fn refusal(given: &[String], known: &[&str]) -> Option<Problem> {
    let name = given.iter().find(|it| !known.contains(&it.as_str()))?;
    let problem = Problem::bad_request(format!("the parameter `{name}` is not known here"));
    Some(problem.with_help(help(known)))
}

fn help(known: &[&str]) -> String {
    if known.is_empty() {
        return "This address takes none.".to_owned();
    }
    let all: Vec<_> = known.iter().map(|it| format!("`{it}`")).collect();
    format!("Known here: {}.", all.join(", "))
}

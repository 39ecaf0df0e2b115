//! Body, query and path of a request. As axum's own, but what they refuse is a problem as all others.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::query::parameters::note;
use crate::http::{Problem, ProblemKind};

/// A body as JSON, read or written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

/// The parameters behind `?`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

/// The variable parts of a path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_empty = !request.headers().contains_key(CONTENT_TYPE);
        if !is_empty && !is_json(&request) {
            return Err(unsupported());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|it| {
            if it.status() == StatusCode::PAYLOAD_TOO_LARGE { too_large() } else { unreadable() }
        })?;
        // Who sends nothing means an object of which nothing is said; a body says what it is.
        if is_empty && !bytes.is_empty() {
            return Err(unsupported());
        }
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        if has_nul(&bytes) {
            return Err(nul());
        }
        if let Some(other) = other_than_object(&bytes) {
            let title = format!("the body is {other}, and must be an object");
            return Err(Problem::bad_request(title).with_help("Write `{ … }`."));
        }
        axum::Json::from_bytes(&bytes).map(|it| Self(it.0)).map_err(|it| refused_body(&it))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        check_uri(&parts.uri)?;
        note::<T>(&parts.extensions);
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|it| Self(it.0))
            .map_err(|rejection: QueryRejection| refused_query(&rejection.body_text()))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        check_uri(&parts.uri)?;
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|it| Self(it.0))
            .map_err(|rejection: PathRejection| Problem::bad_request(plain(&rejection.body_text())))
    }
}

fn is_json(request: &Request) -> bool {
    let value = request.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let essence = value.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Databases do not take it in a text, and no name of ours has it.
fn check_uri(uri: &Uri) -> Result<(), Problem> {
    let has_nul = uri.path_and_query().is_some_and(|it| it.as_str().contains("%00"));
    if has_nul { Err(nul()) } else { Ok(()) }
}

fn has_nul(bytes: &[u8]) -> bool {
    let may_have = bytes.windows(6).any(|it| it == br"\u0000");
    may_have && serde_json::from_slice(bytes).is_ok_and(|it| is_with_nul(&it))
}

fn is_with_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(items) => items.iter().any(is_with_nul),
        serde_json::Value::Object(fields) => {
            fields.iter().any(|(name, it)| name.contains('\0') || is_with_nul(it))
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {
            false
        }
    }
}

/// What a body is that is no object: all that is read here are objects.
fn other_than_object(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes.iter().find(|it| !it.is_ascii_whitespace())? {
        b'[' => "a list",
        b'"' => "a text",
        b't' | b'f' => "`true` or `false`",
        b'n' => "`null`",
        b'-' | b'0'..=b'9' => "a number",
        _ => return None,
    })
}

fn refused_body(rejection: &JsonRejection) -> Problem {
    Problem::bad_request(plain(&rejection.body_text()))
}

/// The sentence of the parser, without the name of its type.
fn plain(text: &str) -> String {
    let wrong = "Failed to deserialize the JSON body into the target type";
    text.replace(wrong, "the body cannot be read")
        .replace("Failed to parse the request body as JSON", "the body is no JSON")
}

/// Names the parameter, where the parser does.
fn refused_query(text: &str) -> Problem {
    let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(text);
    let is_name = |it: &str| it.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
    let title = match text.split_once(": ") {
        Some((
            name,
            "invalid digit found in string" | "cannot parse integer from empty string",
        )) => {
            format!("`{name}` is a whole number")
        }
        Some((name, reason)) if is_name(name) => format!("`{name}` cannot be read: {reason}"),
        _ => format!("the query cannot be read: {text}"),
    };
    Problem::bad_request(title)
}

fn nul() -> Problem {
    Problem::bad_request("the request has a character with the number 0")
}

fn unreadable() -> Problem {
    Problem::bad_request("the body cannot be read")
}

fn unsupported() -> Problem {
    Problem::new(ProblemKind::UnsupportedMedia, "the body is to be JSON")
        .with_help("Send `Content-Type: application/json`.")
}

fn too_large() -> Problem {
    Problem::new(ProblemKind::TooLarge, "the body has more bytes than are read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_where_it_is_one_and_not_where_it_is_written_about() {
        assert!(has_nul(br#"{"a": ["x\u0000"]}"#));
        assert!(has_nul(br#"{"\u0000": 1}"#));
        assert!(!has_nul(br#"{"a": "\\u0000"}"#));
    }
}

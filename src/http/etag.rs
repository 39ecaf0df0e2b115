//! Strong entity tags (RFC 9110, section 8.8.3): the digest of what was answered. Who has it already is not
//! sent it again, and who changes something can say which state they have seen.

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::http::{Problem, ProblemKind};
use crate::model::Digest;

/// A body of more bytes is not read again to be hashed.
const BODY_BYTES_MAX: usize = 4 << 20;
/// What a packed answer adds to its tag: other bytes, other tag (RFC 9110, section 8.8.3.3).
const PACKED: &str = "-gzip\"";

/// The tag of a body.
#[must_use]
pub(super) fn etag_of(bytes: &[u8]) -> String {
    format!("\"{}\"", Digest::of(bytes).hex().get(..32).unwrap_or_default())
}

/// Refuses a change of something that is not as the client has seen it (`If-Match`).
pub fn check_if_match(headers: &HeaderMap, present: &impl Serialize) -> Result<(), Problem> {
    let Some(wanted) = headers.get(header::IF_MATCH) else { return Ok(()) };
    let bytes = serde_json::to_vec(present).map_err(|it| Problem::internal(&it))?;
    let is_seen = wanted.to_str().is_ok_and(|it| matches(it, &etag_of(&bytes), Comparison::Strong));
    if is_seen { Ok(()) } else { Err(changed_since()) }
}

/// What a client is told that would overwrite what it has not seen.
pub fn changed_since() -> Problem {
    Problem::new(ProblemKind::PreconditionFailed, "it was changed by someone else since")
        .with_help("Get it again, and decide anew.")
}

/// Whether the client has the present state already (`If-None-Match`).
#[must_use]
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let wanted = headers.get(header::IF_NONE_MATCH).and_then(|it| it.to_str().ok());
    wanted.is_some_and(|it| matches(it, etag, Comparison::Weak))
}

/// The layer that tags what is got, and answers 304 to who has it.
pub async fn tag(request: Request, next: Next) -> Response {
    let is_read = request.method() == Method::GET || request.method() == Method::HEAD;
    let headers = request.headers().clone();
    let response = next.run(request).await;
    if !is_read || response.status() != StatusCode::OK {
        return response;
    }
    let response = if response.headers().contains_key(header::ETAG) {
        response
    } else {
        tagged(response).await
    };
    let etag = response.headers().get(header::ETAG).and_then(|it| it.to_str().ok());
    if !etag.is_some_and(|it| is_known(&headers, it)) {
        return response;
    }
    let mut unchanged = StatusCode::NOT_MODIFIED.into_response();
    for name in [header::ETAG, header::CACHE_CONTROL, header::VARY] {
        if let Some(value) = response.headers().get(&name) {
            unchanged.headers_mut().insert(name, value.clone());
        }
    }
    unchanged
}

/// Tags a body that lies in memory as a whole; a stream is left alone.
async fn tagged(response: Response) -> Response {
    let size = response.body().size_hint().exact();
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|it| {
        it.as_bytes().starts_with(b"application/json") || it.as_bytes().starts_with(b"image/svg")
    });
    if !is_json || size.is_none_or(|it| it > BODY_BYTES_MAX as u64) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return Problem::internal(&std::io::Error::other("an answer cannot be read"))
            .into_response();
    };
    if let Ok(etag) = HeaderValue::try_from(etag_of(&bytes)) {
        parts.headers.insert(header::ETAG, etag);
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// The layer outside of the one that packs: a packed answer has a tag of its own, and what a client sends
/// back is understood.
pub async fn tell_packed_apart(mut request: Request, next: Next) -> Response {
    for name in [header::IF_NONE_MATCH, header::IF_MATCH] {
        let value = request.headers().get(&name).and_then(|it| it.to_str().ok());
        if let Some(plain) = value.map(|it| it.replace(PACKED, "\""))
            && let Ok(plain) = HeaderValue::try_from(plain)
        {
            request.headers_mut().insert(name, plain);
        }
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if headers.contains_key(header::CONTENT_ENCODING)
        && let Some(etag) = headers.get(header::ETAG).and_then(|it| it.to_str().ok())
        && let Some(open) = etag.strip_suffix('"')
        && let Ok(packed) = HeaderValue::try_from(format!("{open}{PACKED}"))
    {
        headers.insert(header::ETAG, packed);
    }
    response
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of tags names this one.
fn matches(list: &str, etag: &str, comparison: Comparison) -> bool {
    list.trim() == "*"
        || list.split(',').map(str::trim).any(|it| match it.strip_prefix("W/") {
            Some(weak) => comparison == Comparison::Weak && weak == etag,
            None => it == etag,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weak_tag_is_good_for_reading_only() {
        let list = "\"a\", W/\"b\"";
        assert!(matches(list, "\"a\"", Comparison::Strong));
        assert!(!matches(list, "\"b\"", Comparison::Strong));
        assert!(matches(list, "\"b\"", Comparison::Weak));
        assert!(matches("*", "\"c\"", Comparison::Strong));
        assert!(!matches("", "\"c\"", Comparison::Weak));
    }
}

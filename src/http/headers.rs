//! What every answer says to browsers.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::http::App;

/// JSON loads nothing, and stands in no frame. A page that brings its own policy keeps it.
const DEFAULT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
);
const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=()"),
    ),
];
/// Pages of others cannot take an answer in, unless a handler knows better.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
/// A year (RFC 6797).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// Answers are about the caller, unless a handler knows better.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The layer that says it.
pub async fn secure(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.extend(ALWAYS);
    headers.entry(RESOURCE_POLICY).or_insert(SAME_ORIGIN);
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(DEFAULT_POLICY);
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    if app.auth.settings().is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    response
}

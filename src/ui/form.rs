//! What forms of ours send.

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::http::{App, Problem, Visitor};

/// A form that somebody who is signed in has sent from a page of ours, proved by its `csrf` field.
#[derive(Debug)]
pub(super) struct Posted<T>(pub(super) Visitor, pub(super) T);

#[derive(serde::Deserialize)]
struct Proof {
    #[serde(default)]
    csrf: String,
}

impl<T: DeserializeOwned + Send> FromRequest<App> for Posted<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let request = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(request, app).await.map_err(|_| too_large())?;
        let proof: Proof = read(&bytes)?;
        // Shown as scripts show it, so that one place judges both.
        let shown =
            HeaderValue::try_from(proof.csrf).map_err(|_| unreadable("its `csrf` field"))?;
        parts.headers.insert(HeaderName::from_static("x-csrf-token"), shown);
        let visitor =
            <Visitor as axum::extract::FromRequestParts<App>>::from_request_parts(&mut parts, app)
                .await?;
        Ok(Self(visitor, read(&bytes)?))
    }
}

/// A form of who is not signed in yet.
#[derive(Debug)]
pub(super) struct Plain<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Plain<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        crate::http::SameOrigin::from_request_parts(&mut parts, app).await?;
        let request = Request::from_parts(parts, body);
        let bytes = Bytes::from_request(request, app).await.map_err(|_| too_large())?;
        Ok(Self(read(&bytes)?))
    }
}

/// Fields by their names; several of one name become a sequence, as check boxes are sent.
fn read<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    serde_html_form::from_bytes(bytes).map_err(|error| unreadable(&error.to_string()))
}

fn unreadable(what: &str) -> Problem {
    Problem::bad_request(format!("the form cannot be read: {what}"))
        .with_help("Go back, load the page again, and send it once more.")
}

fn too_large() -> Problem {
    Problem::new(crate::http::ProblemKind::TooLarge, "the form is larger than 1 MiB")
}

/// Leads on to a page of ours, as every form does that has worked.
pub(super) fn onward(path: &str) -> Response {
    let location = HeaderValue::try_from(local(path));
    let location = location.unwrap_or_else(|_| HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// A path of this server; anything else becomes the home page.
pub(super) fn local(path: &str) -> &str {
    let is_ours = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    let is_plain = path.bytes().all(|it| it.is_ascii_graphic());
    if is_ours && is_plain { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_led_to() {
        for path in ["/", "/runs/7?line=3", "/projects/shop/web"] {
            assert_eq!(local(path), path);
        }
        for path in
            ["", "//evil.example", "/\\evil", "https://evil", "/a b", "/a\nb", "javascript:1"]
        {
            assert_eq!(local(path), "/", "{path}");
        }
    }
}

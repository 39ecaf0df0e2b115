//! The ways in and out: set-up, sign-in, a session that goes on, sign-out, and how pages look.

mod set_up;
mod sign_in;
mod sign_out;
mod resume;
mod look;

use askama::Template;
use axum::Router;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};

use super::form::local;
use super::shell;
use crate::http::{App, Cookies, Operation, SetCookies};

pub(super) use resume::{RESUME, by_way, once_more};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/set-up", get(set_up::show).post(set_up::send))
        .route("/sign-in", get(sign_in::show).post(sign_in::send))
        .route("/sign-out", post(sign_out::send))
        .route("/look", post(look::send))
        .route(RESUME, get(resume::go_on).post(resume::go_on_with_form))
}

pub(super) const OPERATIONS: &[Operation] = &[];

/// Where somebody goes who has signed in.
#[derive(Debug, Default, serde::Deserialize)]
struct ReturnTo {
    #[serde(default)]
    return_to: String,
}

impl ReturnTo {
    fn path(&self) -> &str {
        if self.return_to.is_empty() { "/" } else { local(&self.return_to) }
    }
}

#[derive(Template)]
#[template(path = "entry/again.html")]
struct AgainPage<'a> {
    to: &'a str,
}

/// A page that leads on by itself: what it leads to is asked for by us, and not by another site, so that the
/// browser sends strict cookies.
pub(super) fn again(to: &str) -> Response {
    shell::page(&AgainPage { to: local(to) })
        .unwrap_or_else(axum::response::IntoResponse::into_response)
}

fn cookies(app: &App) -> Cookies {
    Cookies::new(app.auth.settings().is_https())
}

/// Leads on with the cookies of a session.
fn onward_with(cookies: SetCookies, path: &str) -> Response {
    use axum::response::IntoResponse as _;
    (cookies, super::form::onward(path)).into_response()
}

fn has_session(app: &App, headers: &HeaderMap) -> bool {
    cookies(app).session(headers).is_some()
}

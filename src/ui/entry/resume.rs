//! Goes on with a session whose JWT has run out. It lies where browsers send the refresh token. A form comes here by
//! 307, which browsers follow with the same form, and goes back the same way: it is done as if nothing had been.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;

use crate::auth::{AuthError, Csrf};
use crate::http::{App, Newcomer, Problem, Query, SameOrigin, SetCookies};
use crate::ui::form::{encoded, local, onward};

/// Below the path of the cookie with the refresh token.
pub(in crate::ui) const RESUME: &str = "/api/v1/session/resume";
/// How long a tab waits for the cookies that another one is being given, and how often.
const RACE_WAIT: Duration = Duration::from_millis(300);
const RACE_TRIES: u8 = 5;

/// Where to, and how often it was tried.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Way {
    return_to: String,
    tries: u8,
}

impl Way {
    fn path(&self) -> &str {
        local(&self.return_to)
    }
}

/// How it went.
enum Resumed {
    /// With these cookies, or those that the browser has.
    On(Option<SetCookies>),
    /// Another tab goes on with the session now.
    Wait,
    /// There is no session to go on with.
    Out,
}

/// Back to the page with new cookies; to the sign-in where there is no session to go on with. The cookies are
/// strict, so no other site can have this done.
pub(super) async fn go_on(
    State(app): State<App>,
    _newcomer: Newcomer,
    headers: HeaderMap,
    Query(way): Query<Way>,
) -> Result<Response, Problem> {
    Ok(match resume(&app, &headers, way.tries).await? {
        Resumed::On(cookies) => (cookies, onward(way.path())).into_response(),
        Resumed::Wait => onward(&next_try(&way)),
        Resumed::Out => onward(&format!("/sign-in?return_to={}", encoded(way.path()))),
    })
}

/// Back to where the form was sent to, with new cookies; its own proof is judged there.
pub(super) async fn go_on_with_form(
    State(app): State<App>,
    (_newcomer, _ours): (Newcomer, SameOrigin),
    headers: HeaderMap,
    Query(way): Query<Way>,
    // It is sent again, but a browser wants it to be read.
    _form: Bytes,
) -> Result<Response, Problem> {
    match resume(&app, &headers, way.tries).await? {
        Resumed::On(cookies) => Ok((cookies, once_more(way.path())).into_response()),
        Resumed::Wait => Ok(once_more(&next_try(&way))),
        Resumed::Out => Err(Problem::unauthenticated()),
    }
}

async fn resume(app: &App, headers: &HeaderMap, tries: u8) -> Result<Resumed, Problem> {
    let cookies = super::cookies(app);
    if let Some(session) = cookies.session(headers)
        && app.auth.caller_by_session(session, Csrf::Safe).await.is_ok()
    {
        return Ok(Resumed::On(None));
    }
    let Some(shown) = cookies.refresh(headers) else { return Ok(Resumed::Out) };
    match app.auth.refresh_session(shown).await {
        Ok(signed_in) => Ok(Resumed::On(Some(cookies.set(&signed_in)))),
        Err(AuthError::Raced) if tries < RACE_TRIES => {
            tokio::time::sleep(RACE_WAIT).await;
            Ok(Resumed::Wait)
        }
        Err(AuthError::Unproven | AuthError::Raced) => Ok(Resumed::Out),
        Err(error) => Err(error.into()),
    }
}

/// The address of this, to come back to `here` from.
pub(in crate::ui) fn by_way(here: &str) -> String {
    format!("{RESUME}?return_to={}", encoded(here))
}

fn next_try(way: &Way) -> String {
    format!("{}&tries={}", by_way(way.path()), way.tries.saturating_add(1))
}

/// Has a browser send the same form to another address of ours.
pub(in crate::ui) fn once_more(path: &str) -> Response {
    let location = HeaderValue::try_from(local(path));
    let location = location.unwrap_or_else(|_| HeaderValue::from_static("/"));
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
}

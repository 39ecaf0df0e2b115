//! `/sign-in`: with login and password, or at the provider.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::ReturnTo;
use crate::auth::{AuthError, SignIn};
use crate::http::{App, Newcomer, Problem, Query};
use crate::model::Milliseconds;
use crate::ui::form::{Plain, encoded, onward};
use crate::ui::shell::{self, Shell, page};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "entry/sign_in.html")]
struct SignInPage<'a> {
    shell: Shell,
    login: &'a str,
    return_to: &'a str,
    /// Whether there is a provider.
    has_provider: bool,
    problem: Option<String>,
}

/// Who signs in.
#[derive(serde::Deserialize)]
pub(super) struct SignInForm {
    login: String,
    password: String,
    #[serde(flatten)]
    to: ReturnTo,
}

/// Asks who it is. Who is signed in already goes on.
pub(super) async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    Query(to): Query<ReturnTo>,
) -> Result<Response, Problem> {
    if shell::is_led_by_others(&headers) && !super::has_session(&app, &headers) {
        // Perhaps they are signed in, and only this request does not say so.
        return Ok(super::again(&format!("/sign-in?return_to={}", encoded(to.path()))));
    }
    if !app.auth.is_set_up().await? {
        return Ok(onward("/set-up"));
    }
    show_form(&app, "", to.path(), None)
}

fn show_form(
    app: &App,
    login: &str,
    return_to: &str,
    problem: Option<String>,
) -> Result<Response, Problem> {
    let shell = Shell::of_nobody("Sign in", Words::at(app.now()));
    let has_provider = app.auth.settings().provider.is_some();
    page(&SignInPage { shell, login, return_to, has_provider, problem })
}

/// Begins a session.
pub(super) async fn send(
    State(app): State<App>,
    Newcomer(client): Newcomer,
    Plain(form): Plain<SignInForm>,
) -> Result<Response, Problem> {
    let SignInForm { login, password, to } = form;
    match app.auth.sign_in(SignIn { login: login.clone(), password, client }).await {
        Ok(signed_in) => Ok(super::onward_with(super::cookies(&app).set(&signed_in), to.path())),
        Err(AuthError::Unproven) => {
            let problem = "The login or the password is wrong.".to_owned();
            show_form(&app, &login, to.path(), Some(problem))
        }
        Err(AuthError::Locked { retry_after_seconds }) => {
            let span = Words::at(app.now()).span(Milliseconds::from_seconds(retry_after_seconds));
            let problem = format!("Too many wrong tries: try again in {span}.");
            let mut response = show_form(&app, &login, to.path(), Some(problem))?;
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            response.headers_mut().insert(header::RETRY_AFTER, retry_after_seconds.into());
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

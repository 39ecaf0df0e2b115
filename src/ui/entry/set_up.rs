//! `/set-up`: the first person of a new installation, who owns it.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::auth::{AuthError, NewOwner, SignIn};
use crate::http::{App, Newcomer, Problem};
use crate::model::PersonId;
use crate::ui::form::{Plain, onward};
use crate::ui::shell::{Shell, page};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "entry/set_up.html")]
struct SetUpPage<'a> {
    shell: Shell,
    login: &'a str,
    problem: Option<String>,
}

/// Who will own the installation.
#[derive(serde::Deserialize)]
pub(super) struct SetUpForm {
    token: String,
    login: String,
    password: String,
}

/// Asks for the token; who comes when there is somebody signs in.
pub(super) async fn show(State(app): State<App>) -> Result<Response, Problem> {
    if app.auth.is_set_up().await? {
        return Ok(onward("/sign-in"));
    }
    let shell = Shell::of_nobody("Set up this server", Words::at(app.now()));
    page(&SetUpPage { shell, login: "", problem: None })
}

/// Makes the owner, and signs them in.
pub(super) async fn send(
    State(app): State<App>,
    Newcomer(client): Newcomer,
    Plain(form): Plain<SetUpForm>,
) -> Result<Response, Problem> {
    let SetUpForm { token, login, password } = form;
    let id = PersonId(app.new_id());
    let owner = NewOwner { id, login: login.clone(), password: password.clone() };
    if let Err(error) = app.auth.finish_setup(token.trim(), owner).await {
        let problem = Problem::from(error);
        let shell = Shell::of_nobody("Set up this server", Words::at(app.now()));
        let sentence = [problem.title(), problem.help().unwrap_or_default()].join(". ");
        return page(&SetUpPage { shell, login: &login, problem: Some(sentence) });
    }
    let signed_in = app.auth.sign_in(SignIn { login, password, client }).await;
    let signed_in = signed_in.map_err(|error: AuthError| Problem::from(error))?;
    Ok(super::onward_with(super::cookies(&app).set(&signed_in), "/?done=set-up"))
}

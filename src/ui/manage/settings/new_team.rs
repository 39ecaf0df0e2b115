//! `/teams/new`: a team, made by an owner.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use crate::desk::teams;
use crate::http::{App, Problem, Subject};
use crate::ui::form::{Sent, again, mistake, onward};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};

#[derive(Template)]
#[template(path = "settings/new_team.html")]
struct NewTeamPage {
    shell: Shell,
    place: Place,
    form: NewTeamForm,
}

/// What its maker says of it.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct NewTeamForm {
    name: String,
    #[serde(default)]
    title: String,
}

fn new_page(visit: &Visit, form: NewTeamForm, problem: Option<String>) -> NewTeamPage {
    let place =
        Place { title: "New team".to_owned(), problem, may_change: true, ..Place::default() };
    let mut shell = place.shell(visit, Section::Home);
    "/teams/new".clone_into(&mut shell.here);
    NewTeamPage { shell, place, form }
}

pub(super) async fn show(visit: Visit) -> Result<Response, Problem> {
    visit.visitor.require_owner()?;
    page(&new_page(&visit, NewTeamForm::default(), None))
}

pub(super) async fn send(
    State(app): State<App>,
    Sent(visit, form): Sent<NewTeamForm>,
) -> Result<Response, Problem> {
    let named = (form.name.trim().to_owned(), form.title.trim().to_owned());
    match teams::create(&app, &visit.visitor, named).await {
        Ok(team) => {
            let to = onward(&format!("/teams/{}?done=created", team.name));
            Ok((axum::Extension(Subject(team.name)), to).into_response())
        }
        Err(problem) => again(&new_page(&visit, form, Some(mistake(problem)?))),
    }
}

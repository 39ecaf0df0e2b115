//! `/admin/people`: everybody who may sign in, and one more.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use crate::auth::NewPerson;
use crate::desk::server::people;
use crate::http::{App, CursorForm, Page, PageQuery, Problem, Query, Subject};
use crate::store::access::people::PersonRow;
use crate::ui::form::{Sent, again, mistake, onward};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "admin/people.html")]
struct PeoplePage {
    shell: Shell,
    words: Words,
    place: Place,
    people: Page<PersonRow>,
    form: PersonForm,
}

/// Somebody to make. It has no `Debug`: it knows a password.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct PersonForm {
    login: String,
    name: String,
    email: String,
    password: String,
    is_owner: String,
}

async fn new_page(
    app: &App,
    visit: &Visit,
    (query, form): (PageQuery, PersonForm),
) -> Result<PeoplePage, Problem> {
    let place = super::place(visit, "/people")?;
    let rows = people::list(app, &visit.visitor).await?;
    let people =
        Page::of_all(rows, &query.checked(CursorForm::Name)?, |it: &PersonRow| it.login.clone());
    let shell = place.shell(visit, Section::Server);
    Ok(PeoplePage { shell, words: visit.words(), place, people, form })
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    page(&new_page(&app, &visit, (query, PersonForm::default())).await?)
}

pub(super) async fn create(
    State(app): State<App>,
    Sent(visit, mut form): Sent<PersonForm>,
) -> Result<Response, Problem> {
    let new = NewPerson {
        login: form.login.trim().to_owned(),
        name: form.name.trim().to_owned(),
        email: form.email.trim().to_owned(),
        password: Some(std::mem::take(&mut form.password)).filter(|it| !it.is_empty()),
        is_owner: !form.is_owner.is_empty(),
    };
    match people::create(&app, &visit.visitor, new).await {
        Ok(person) => {
            let to = onward(&format!("/admin/people/{}?done=created", person.login));
            Ok((axum::Extension(Subject(person.login)), to).into_response())
        }
        Err(problem) => {
            let problem = mistake(problem)?;
            let mut shown = new_page(&app, &visit, (PageQuery::default(), form)).await?;
            shown.place.problem = Some(problem);
            again(&shown)
        }
    }
}

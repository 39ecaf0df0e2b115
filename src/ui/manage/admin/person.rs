//! `/admin/people/{login}`: one person, and what an owner may change of them.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use crate::auth::PersonChange;
use crate::desk::server::people;
use crate::http::{App, Path, Problem};
use crate::store::access::people::PersonRow;
use crate::store::access::teams::MemberRow;
use crate::ui::form::{Posted, Sent, encoded, onward, settle};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "admin/person.html")]
struct PersonPage {
    shell: Shell,
    words: Words,
    place: Place,
    person: PersonRow,
    memberships: Vec<MemberRow>,
    /// Names of the teams that have no other admin.
    alone: Vec<String>,
    /// Whether it is the one who looks: owners do not shut themselves out.
    is_me: bool,
}

/// What changes.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct ChangeForm {
    name: String,
    email: String,
    is_owner: String,
}

/// A new password. It has no `Debug`.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct PasswordForm {
    password: String,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct NoForm {}

async fn new_page(app: &App, visit: &Visit, login: &str) -> Result<PersonPage, Problem> {
    let mut place = super::place(visit, "/people")?;
    let person = app.store.find_person(&login.to_lowercase()).await?;
    let person = person.ok_or_else(|| Problem::not_found("this person"))?;
    let memberships = app.store.list_memberships(&person.id).await?;
    let alone = app.store.list_teams_led_alone(&person.id).await?;
    let shell = place.shell(visit, Section::Server);
    place.title.clone_from(&person.login);
    place.path = format!("/admin/people/{}", person.login);
    let is_me = person.id == visit.visitor.0.person;
    Ok(PersonPage { shell, words: visit.words(), place, person, memberships, alone, is_me })
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(login): Path<String>,
) -> Result<Response, Problem> {
    page(&new_page(&app, &visit, &login).await?)
}

/// Changes somebody, and leads back to them; or says beside the form what is wrong.
async fn apply(
    app: &App,
    visit: &Visit,
    (login, change): (&str, PersonChange),
) -> Result<Response, Problem> {
    let noted = people::noted(&change);
    let changed = people::change(app, &visit.visitor, (login, change)).await;
    let done = changed.map(|_| format!("/admin/people/{}?done=saved", encoded(login)));
    settle(done, |problem| async move {
        let mut shown = new_page(app, visit, login).await?;
        shown.place.problem = Some(problem);
        Ok(shown)
    })
    .await
    .map(|it| (Extension(noted), it).into_response())
}

pub(super) async fn change(
    State(app): State<App>,
    Path(login): Path<String>,
    Sent(visit, form): Sent<ChangeForm>,
) -> Result<Response, Problem> {
    let is_me = login.to_lowercase() == visit.visitor.0.login;
    let change = PersonChange {
        name: Some(form.name.trim().to_owned()),
        email: Some(form.email.trim().to_owned()),
        is_owner: Some(!form.is_owner.is_empty()).filter(|_| !is_me),
        ..PersonChange::default()
    };
    apply(&app, &visit, (&login, change)).await
}

pub(super) async fn set_password(
    State(app): State<App>,
    Path(login): Path<String>,
    Sent(visit, form): Sent<PasswordForm>,
) -> Result<Response, Problem> {
    let change = PersonChange { password: Some(form.password), ..PersonChange::default() };
    apply(&app, &visit, (&login, change)).await
}

pub(super) async fn disable(
    State(app): State<App>,
    Path(login): Path<String>,
    Sent(visit, _): Sent<NoForm>,
) -> Result<Response, Problem> {
    let change = PersonChange { is_disabled: Some(true), ..PersonChange::default() };
    apply(&app, &visit, (&login, change)).await
}

pub(super) async fn enable(
    State(app): State<App>,
    Path(login): Path<String>,
    Posted(visitor, _): Posted<NoForm>,
) -> Result<Response, Problem> {
    let change = PersonChange { is_disabled: Some(false), ..PersonChange::default() };
    let noted = people::noted(&change);
    people::change(&app, &visitor, (&login, change)).await?;
    let to = onward(&format!("/admin/people/{}?done=saved", encoded(&login)));
    Ok((Extension(noted), to).into_response())
}

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
use crate::ui::form::{Compared, Posted, Sent, check_seen, encoded, onward, seen_of, settle};
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
    /// What is to be, as typed.
    form: ChangeForm,
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
    seen: String,
}

impl ChangeForm {
    fn of(person: &PersonRow) -> Self {
        let is_owner = if person.is_owner { "yes" } else { "" };
        Self {
            name: person.name.clone(),
            email: person.email.clone(),
            is_owner: is_owner.to_owned(),
            seen: seen_of(&(&person.name, &person.email, is_owner)),
        }
    }

    /// Refuses to take back what somebody else has changed. Of oneself the box cannot be ticked, and is not sent.
    fn check_seen(&self, person: &PersonRow, is_me: bool) -> Result<(), Problem> {
        let now = Self::of(person);
        let owns = |it: &Self| if it.is_owner.is_empty() { "no" } else { "yes" };
        let fields: [Compared<'_>; 3] = [
            ("name", self.name.as_str(), now.name.as_str()),
            ("mail", &self.email, &now.email),
            ("owns the server:", owns(if is_me { &now } else { self }), owns(&now)),
        ];
        check_seen((&self.seen, &now.seen), &fields)
    }
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
    let (words, form) = (visit.words(), ChangeForm::of(&person));
    Ok(PersonPage { shell, words, place, person, form, memberships, alone, is_me })
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
    let found = new_page(&app, &visit, &login).await?;
    let change = PersonChange {
        name: Some(form.name.trim().to_owned()),
        email: Some(form.email.trim().to_owned()),
        is_owner: Some(!form.is_owner.is_empty()).filter(|_| !found.is_me),
        ..PersonChange::default()
    };
    let noted = people::noted(&change);
    let changed = match form.check_seen(&found.person, found.is_me) {
        Ok(()) => people::change(&app, &visit.visitor, (&login, change)).await,
        Err(problem) => Err(problem),
    };
    let done = changed.map(|_| format!("/admin/people/{}?done=saved", encoded(&login)));
    settle(done, |problem| async move {
        let mut shown = found;
        shown.place.problem = Some(problem);
        let ChangeForm { seen, is_owner, .. } = shown.form;
        let is_owner = if shown.is_me { is_owner } else { form.is_owner };
        Ok(PersonPage { form: ChangeForm { is_owner, seen, ..form }, ..shown })
    })
    .await
    .map(|it| (Extension(noted), it).into_response())
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

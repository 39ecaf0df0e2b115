//! `/account`: who one is, one's teams and roles, and another password.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::auth::OwnPassword;
use crate::desk::account;
use crate::http::{App, Problem};
use crate::store::access::people::PersonRow;
use crate::store::access::teams::MemberRow;
use crate::ui::form::{Sent, settle};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "account/me.html")]
struct MePage {
    shell: Shell,
    words: Words,
    place: Place,
    person: PersonRow,
    memberships: Vec<MemberRow>,
}

/// The old password and the new one. It has no `Debug`.
#[derive(serde::Deserialize)]
pub(super) struct PasswordForm {
    old: String,
    new: String,
}

async fn new_page(app: &App, visit: &Visit) -> Result<MePage, Problem> {
    let place = super::place(visit, "");
    let caller = &visit.visitor.0;
    let person = app.store.find_person_by_id(&caller.person).await?;
    let person = person.ok_or_else(|| Problem::not_found("this person"))?;
    let memberships = app.store.list_memberships(&caller.person).await?;
    let shell = place.shell(visit, Section::Account);
    Ok(MePage { shell, words: visit.words(), place, person, memberships })
}

pub(super) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    page(&new_page(&app, &visit).await?)
}

/// Nothing of what was typed comes back: both have to be typed again.
pub(super) async fn change_password(
    State(app): State<App>,
    Sent(visit, form): Sent<PasswordForm>,
) -> Result<Response, Problem> {
    let change = OwnPassword { old: form.old, new: form.new };
    let changed = account::change_password(&app, &visit.visitor, change).await;
    settle(changed.map(|()| "/account?done=password".to_owned()), |problem| async move {
        let mut shown = new_page(&app, &visit).await?;
        shown.place.problem = Some(problem);
        Ok(shown)
    })
    .await
}

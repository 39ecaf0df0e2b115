//! `/account`: who one is, and one's teams and roles.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::http::{App, Problem};
use crate::store::access::people::PersonRow;
use crate::store::access::teams::MemberRow;
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

pub(super) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    let place = super::place(&visit, "");
    let caller = &visit.visitor.0;
    let person = app.store.find_person_by_id(&caller.person).await?;
    let person = person.ok_or_else(|| Problem::not_found("this person"))?;
    let memberships = app.store.list_memberships(&caller.person).await?;
    let shell = place.shell(&visit, Section::Account);
    page(&MePage { shell, words: visit.words(), place, person, memberships })
}

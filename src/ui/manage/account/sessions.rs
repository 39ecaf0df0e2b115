//! `/account/sessions`: where one is signed in.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::auth::Proof;
use crate::desk::account;
use crate::http::{App, Path, Problem};
use crate::store::access::sessions::SessionRow;
use crate::ui::form::{Posted, onward};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "account/sessions.html")]
struct SessionsPage {
    shell: Shell,
    words: Words,
    place: Place,
    sessions: Vec<SessionRow>,
    /// Id of the one that looks.
    this: String,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct NoForm {}

pub(super) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    visit.visitor.require_whole()?;
    let place = super::place(&visit, "/sessions");
    let caller = &visit.visitor.0;
    let mut sessions = app.store.list_sessions(&caller.person, app.now()).await?;
    sessions.sort_by(|one, other| other.id.cmp(&one.id));
    let this = match &caller.proof {
        Proof::Session(id) => id.clone(),
        Proof::Token(..) => String::new(),
    };
    let shell = place.shell(&visit, Section::Account);
    page(&SessionsPage { shell, words: visit.words(), place, sessions, this })
}

pub(super) async fn end(
    State(app): State<App>,
    Path(session): Path<String>,
    Posted(visitor, _): Posted<NoForm>,
) -> Result<Response, Problem> {
    account::revoke_session(&app, &visitor, &session).await?;
    Ok(onward("/account/sessions?done=revoked"))
}

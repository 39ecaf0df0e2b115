//! `POST /sign-out`: ends the session of this browser.

use axum::extract::State;
use axum::response::Response;

use crate::auth::Proof;
use crate::http::{App, Problem};
use crate::ui::form::Posted;

/// Nothing but the proof that the form is ours.
#[derive(serde::Deserialize)]
pub(super) struct SignOutForm {}

pub(super) async fn send(
    State(app): State<App>,
    Posted(visitor, _): Posted<SignOutForm>,
) -> Result<Response, Problem> {
    if let Proof::Session(id) = &visitor.0.proof {
        app.store.revoke_session(&visitor.0.person, id, app.now()).await?;
    }
    Ok(super::onward_with(super::cookies(&app).clear(), "/sign-in"))
}

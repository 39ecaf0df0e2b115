//! `/account`: who one is, and the tokens and sessions that speak for one.

mod me;
mod tokens;
mod sessions;

use axum::Router;
use axum::routing::{get, post};

use super::place::{Place, tabs};
use crate::http::{App, Operation};
use crate::ui::shell::Visit;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/account", get(me::show))
        .route("/account/password", post(me::change_password))
        .route("/account/tokens", get(tokens::show).post(tokens::create))
        .route("/account/tokens/{token}/revoke", post(tokens::revoke))
        .route("/account/sessions", get(sessions::show))
        .route("/account/sessions/{session}/end", post(sessions::end))
}

pub(in crate::ui) const OPERATIONS: &[Operation] = &[
    ("POST", "/account/password", "change_password"),
    ("POST", "/account/tokens", "create_token"),
    ("POST", "/account/tokens/{token}/revoke", "revoke_token"),
    ("POST", "/account/sessions/{session}/end", "revoke_session"),
];

const TABS: &[(&str, &str)] = &[("", "You"), ("/tokens", "Tokens"), ("/sessions", "Sessions")];

fn place(visit: &Visit, here: &str) -> Place {
    Place {
        title: format!("Account of {}", visit.visitor.0.login),
        tabs: tabs("/account", TABS, here),
        path: "/account".to_owned(),
        may_change: true,
        ..Place::default()
    }
}

//! What people look after: settings of projects and teams, their own account, and the server.

mod place;
mod settings;
mod account;
mod admin;

use axum::Router;

use crate::http::App;

pub(super) use account::OPERATIONS as ACCOUNT;
pub(super) use admin::OPERATIONS as ADMIN;
pub(super) use settings::OPERATIONS as SETTINGS;

pub(super) fn routes() -> Router<App> {
    Router::new().merge(settings::routes()).merge(account::routes()).merge(admin::routes())
}

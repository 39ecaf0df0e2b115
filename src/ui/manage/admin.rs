//! `/admin`: what concerns the whole server, for its owners.

mod workers;
mod queue;
mod people;
mod person;
mod audit;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};

use super::place::{Place, tabs};
use crate::http::{App, Operation, Problem};
use crate::ui::form::onward;
use crate::ui::shell::Visit;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin", get(show))
        .route("/admin/workers", get(workers::show))
        .route("/live/admin/workers", get(workers::watch))
        .route("/admin/workers/drain", post(workers::drain))
        .route("/admin/queue", get(queue::show))
        .route("/live/admin/queue", get(queue::watch))
        .route("/admin/people", get(people::show).post(people::create))
        .route("/admin/people/{login}", get(person::show).post(person::change))
        .route("/admin/people/{login}/password", post(person::set_password))
        .route("/admin/people/{login}/disable", post(person::disable))
        .route("/admin/people/{login}/enable", post(person::enable))
        .route("/admin/audit", get(audit::show))
}

pub(in crate::ui) const OPERATIONS: &[Operation] = &[
    ("POST", "/admin/workers/drain", "change_worker"),
    ("POST", "/admin/people", "create_person"),
    ("POST", "/admin/people/{login}", "change_person"),
    ("POST", "/admin/people/{login}/password", "change_person"),
    ("POST", "/admin/people/{login}/disable", "change_person"),
    ("POST", "/admin/people/{login}/enable", "change_person"),
];

const TABS: &[(&str, &str)] =
    &[("/workers", "Workers"), ("/queue", "Queue"), ("/people", "People"), ("/audit", "Audit log")];

async fn show(visit: Visit) -> Result<Response, Problem> {
    visit.visitor.require_owner()?;
    Ok(onward("/admin/workers"))
}

/// Where a page is; it is for owners only.
fn place(visit: &Visit, here: &str) -> Result<Place, Problem> {
    visit.visitor.require_owner()?;
    Ok(Place {
        title: "Server".to_owned(),
        tabs: tabs("/admin", TABS, here),
        path: "/admin".to_owned(),
        may_change: true,
        ..Place::default()
    })
}

//! Pages: HTML made on the server, one page a file. They work without JavaScript and come alive with it. What
//! they show and do, the JSON interface can too; both call `desk`.

mod shell;
mod entry;
mod home;
mod approvals;
mod reports;
mod spend;
mod runs;
mod places;
mod stages;
mod traces;
mod manage;

use axum::Router;
use axum::middleware;

use crate::http::{App, Operation, refuse_unread_parameters};
use shell::{above, assets, fault, form, live, words};

/// All pages and what belongs to them.
pub fn routes() -> Router<App> {
    let pages = Router::new()
        .merge(entry::routes())
        .merge(home::routes())
        .merge(approvals::routes())
        .merge(reports::routes())
        .merge(spend::routes())
        .merge(runs::routes())
        .merge(places::routes())
        .merge(stages::routes())
        .merge(traces::routes())
        .merge(manage::routes())
        .layer(middleware::from_fn_with_state(shell::EVERYWHERE, refuse_unread_parameters));
    pages.merge(assets::routes())
}

/// What people do on pages, in the words of the audit log.
pub const OPERATIONS: &[&[Operation]] = &[
    entry::OPERATIONS,
    approvals::OPERATIONS,
    runs::OPERATIONS,
    places::OPERATIONS,
    manage::SETTINGS,
    manage::ACCOUNT,
    manage::ADMIN,
];

/// Shows problems as pages to those who read pages.
pub fn dress(router: Router<App>, app: &App) -> Router<App> {
    router.layer(middleware::from_fn_with_state(app.clone(), fault::show))
}

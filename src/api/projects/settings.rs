//! What is set of a project beside what it is: how it is reached, how long its runs are kept, its schedules.

mod rotate_hook_secret;
mod set_credential;
mod notify_project;
mod retention;
mod list_schedules;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::desk::projects::{find, find_to_change};
use crate::http::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(rotate_hook_secret::rotate_hook_secret))
        .routes(routes!(set_credential::set_credential))
        .routes(routes!(notify_project::notify_project))
        .routes(routes!(retention::show_retention, retention::save_retention))
        .routes(routes!(list_schedules::list_schedules))
}

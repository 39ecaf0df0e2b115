//! Projects: the repositories that a server builds.

mod body;
mod list_projects;
mod create_project;
mod show_project;
mod change_project;
mod archive_project;
mod rotate_hook_secret;
mod set_credential;
mod notify_project;
mod save_retention;
mod subscriptions;
mod badges;
mod trends;

pub(super) use badges::pictures;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::desk::projects::find;
use crate::http::{App, Problem};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_projects::list_projects, create_project::create_project))
        .routes(routes!(
            show_project::show_project,
            change_project::change_project,
            archive_project::archive_project
        ))
        .routes(routes!(rotate_hook_secret::rotate_hook_secret))
        .routes(routes!(set_credential::set_credential))
        .routes(routes!(notify_project::notify_project))
        .routes(routes!(save_retention::save_retention))
        .merge(subscriptions::routes())
        .merge(badges::routes())
        .merge(trends::routes())
}

fn check_address(app: &App, address: &str) -> Result<(), Problem> {
    let rule = app.triggers.projects().addresses();
    rule.admit_form(address).map_err(|it| Problem::bad_request(it.to_string()))
}

fn bad_forge() -> Problem {
    Problem::bad_request("`forge` is `github`, `gitlab`, `gitea` or `git`")
}

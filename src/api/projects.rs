//! Projects: the repositories that a server builds.

mod body;
mod list_projects;
mod create_project;
mod show_project;
mod change_project;
mod archive_project;
mod settings;
mod subscriptions;
mod badges;

pub(super) use badges::pictures;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::desk::projects::{find, find_to_change};
use crate::http::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_projects::list_projects, create_project::create_project))
        .routes(routes!(
            show_project::show_project,
            change_project::change_project,
            archive_project::archive_project
        ))
        .merge(settings::routes())
        .merge(subscriptions::routes())
        .merge(badges::routes())
}

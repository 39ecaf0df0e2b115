//! Secrets of teams and projects: they can be set, listed and removed, and never read.

mod body;
mod list_secrets;
mod save_secret;
mod delete_secret;
mod show_keys;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(
            list_secrets::list_team_secrets,
            save_secret::save_team_secret,
            delete_secret::delete_team_secret
        ))
        .routes(routes!(
            list_secrets::list_project_secrets,
            save_secret::save_project_secret,
            delete_secret::delete_project_secret
        ))
        .routes(routes!(show_keys::show_keys))
}

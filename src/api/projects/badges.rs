//! Badges: small pictures of how a branch stands, for pages of others.

mod svg;
mod show_badge;
mod badge_settings;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::App;

/// Below the address of the interface.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(badge_settings::show_badge_settings, badge_settings::save_badge_settings))
}

/// Below the address of the server.
pub(in crate::api) fn pictures() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show_badge::show_badge))
}

//! What this server says of itself to programs: its interface, and how its stages prove who they are.

mod open_api;
mod well_known;

use utoipa_axum::router::OpenApiRouter;

use crate::http::App;

pub(super) use open_api::{complete, parameters};

/// Under the prefix of the version.
pub(super) fn routes() -> OpenApiRouter<App> {
    open_api::routes()
}

/// Where standards want it.
pub(super) fn root_routes() -> OpenApiRouter<App> {
    well_known::routes()
}

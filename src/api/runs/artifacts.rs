//! What stages handed on: listed, and downloaded as an archive or file by file.

mod body;
mod list_artifacts;
mod get_artifact;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_artifacts::list_artifacts))
        .routes(routes!(get_artifact::get_artifact))
}

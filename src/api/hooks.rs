//! What forges and hooks send. Public: a delivery proves itself by its signature.

mod receive_delivery;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::forge::BODY_BYTES_MAX;
use crate::http::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(receive_delivery::receive_delivery))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
}

//! Deliveries of a project: how they come in (public: each proves itself by its signature), and what became of
//! them.

mod body;
mod receive_delivery;
mod list_deliveries;
mod replay_delivery;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::forge::BODY_BYTES_MAX;
use crate::http::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    let incoming = OpenApiRouter::new()
        .routes(routes!(receive_delivery::receive_delivery))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX));
    OpenApiRouter::new()
        .merge(incoming)
        .routes(routes!(list_deliveries::list_deliveries))
        .routes(routes!(replay_delivery::replay_delivery))
}

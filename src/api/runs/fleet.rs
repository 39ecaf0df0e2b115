//! Several workers: who they are, and what waits for them.

mod list_workers;
mod change_worker;
mod show_queue;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show_queue::show_queue))
        .routes(routes!(list_workers::list_workers))
        .routes(routes!(change_worker::change_worker))
}

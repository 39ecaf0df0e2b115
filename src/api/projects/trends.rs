//! A project over time.

mod show_tests;
mod show_metrics;
mod show_gates;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show_tests::show_tests))
        .routes(routes!(show_metrics::show_metrics))
        .routes(routes!(show_gates::show_gates))
}

//! Runs: lists, one run, its events, logs and artifacts, and what may be done with it; what waits, who drives.

mod list_runs;
mod watch_runs;
mod show_run;
mod show_graph;
mod start_run;
mod cancel_run;
mod rerun_run;
mod approvals;
mod events;
mod log;
mod artifacts;
mod fleet;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::desk::runs::load;
use crate::http::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_runs::list_runs))
        .routes(routes!(watch_runs::watch_runs))
        .routes(routes!(show_run::show_run))
        .routes(routes!(show_graph::show_graph))
        .routes(routes!(start_run::start_run))
        .routes(routes!(start_run::list_pipelines::list_pipelines))
        .routes(routes!(cancel_run::cancel_run))
        .routes(routes!(rerun_run::rerun_run))
        .merge(approvals::routes())
        .merge(events::routes())
        .merge(log::routes())
        .merge(artifacts::routes())
        .merge(fleet::routes())
}

//! Runs: the list, one of them with its graph, over time, what it brings, and what people do with it.

mod list;
mod show;
mod told;
mod trouble;
mod waits;
mod table;
mod graph;
mod timeline;
mod over_time;
mod changes;
mod cancel;
mod rerun;

pub(super) use told::{Spend, grouped, price};
pub(super) use trouble::{advice, name_of};
pub(super) use waits::draining;

use axum::Router;
use axum::routing::{get, post};

use super::form::encoded;
use crate::http::{App, Operation};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/runs", get(list::show))
        .route("/live/runs", get(list::watch))
        .route("/runs/{run}", get(show::show))
        .route("/live/runs/{run}", get(show::watch))
        .route("/runs/{run}/timeline", get(over_time::show))
        .route("/live/runs/{run}/timeline", get(over_time::watch))
        .route("/runs/{run}/changes", get(changes::show))
        .route("/runs/{run}/cancel", post(cancel::send))
        .route("/runs/{run}/rerun", get(rerun::show).post(rerun::send))
}

pub(super) const OPERATIONS: &[Operation] =
    &[("POST", "/runs/{run}/cancel", "cancel_run"), ("POST", "/runs/{run}/rerun", "rerun_run")];

/// Where a run is.
pub(super) fn path_of(run: &crate::model::RunId) -> String {
    format!("/runs/{}", encoded(&run.0))
}

/// Where a stage of the run at `path` is; its key may have any letters.
pub(super) fn path_of_stage(path: &str, key: &str) -> String {
    format!("{path}/stages/{}", encoded(key))
}

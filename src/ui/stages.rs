//! A stage of a run: what came of it, its log, and what the stages of a run handed on.

mod ansi;
mod address;
mod lines;
mod show;
mod log;
mod artifacts;
mod preview;

use axum::Router;
use axum::routing::get;

use crate::http::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/runs/{run}/stages/{stage}", get(show::show))
        .route("/live/runs/{run}/stages/{stage}", get(show::watch))
        .route("/runs/{run}/stages/{stage}/log", get(log::window))
        .route("/live/runs/{run}/stages/{stage}/log", get(log::watch))
        .route("/runs/{run}/artifacts", get(artifacts::show))
        .route("/runs/{run}/artifacts/file", get(preview::show))
        .route("/runs/{run}/artifacts/image", get(preview::image))
}

//! Approvals: the list of what waits for somebody, and one of them with what it would let through.

mod list;
mod show;

use axum::Router;
use axum::routing::{get, post};

use crate::http::{App, Operation};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/approvals", get(list::show))
        .route("/live/approvals", get(list::watch))
        .route("/runs/{run}/stages/{stage}/approval", get(show::show))
        .route("/live/runs/{run}/stages/{stage}/approval", get(show::watch))
        .route("/runs/{run}/stages/{stage}/approve", post(show::approve))
        .route("/runs/{run}/stages/{stage}/reject", post(show::reject))
}

pub(super) const OPERATIONS: &[Operation] = &[
    ("POST", "/runs/{run}/stages/{stage}/approve", "approve_stage"),
    ("POST", "/runs/{run}/stages/{stage}/reject", "reject_stage"),
];

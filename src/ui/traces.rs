//! Calls to models and spans of apps: found by what happened in them, and one of them, or all of a trace, over time.

mod list;
mod show;
mod waterfall;

use axum::Router;
use axum::routing::get;

use crate::http::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/traces", get(list::show))
        .route("/live/traces", get(list::watch))
        .route("/traces/{trace}", get(show::show))
}

/// `0.4 ms`, `128 ms`, `2.1 s`.
fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

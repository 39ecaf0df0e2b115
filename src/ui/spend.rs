//! What calls to models cost: where the money goes, and the budgets that hold it.

mod overview;
mod table;
mod pictures;
mod budgets;
mod budget;
mod bars;

use axum::Router;
use axum::routing::{get, post};

use crate::http::App;

/// What people do here stands in the audit log by itself.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/spend", get(overview::show))
        .route("/live/spend", get(overview::watch))
        .route("/budgets", get(budgets::show))
        .route("/live/budgets", get(budgets::watch))
        .route("/new-budget", get(budget::new).post(budget::create))
        .route("/budgets/{budget}", get(budget::show).post(budget::save))
        .route("/budgets/{budget}/remove", post(budget::remove))
        .route(
            "/teams/{team}/budgets/{budget}",
            get(budget::show_of_team).post(budget::save_of_team),
        )
        .route("/teams/{team}/budgets/{budget}/remove", post(budget::remove_of_team))
}

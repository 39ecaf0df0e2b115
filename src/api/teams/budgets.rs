//! Budgets of the installation and of teams, and what is used of them.

mod list_budgets;
mod show_budget;
mod save_budget;
mod delete_budget;
mod show_budget_usage;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_budgets::list_budgets))
        .routes(routes!(list_budgets::list_team_budgets))
        .routes(routes!(
            show_budget::show_budget,
            save_budget::save_budget,
            delete_budget::delete_budget
        ))
        .routes(routes!(
            show_budget::show_team_budget,
            save_budget::save_team_budget,
            delete_budget::delete_team_budget
        ))
        .routes(routes!(show_budget_usage::show_budget_usage))
        .routes(routes!(show_budget_usage::show_team_budget_usage))
}

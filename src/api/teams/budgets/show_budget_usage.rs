//! `GET …/budgets/{budget}/usage`: what is used of a budget in its present windows.

use axum::extract::State;

use crate::desk::server::budgets::view::UsageView;
use crate::desk::server::budgets::{self, Holder};
use crate::http::{App, Json, Path, Problem, Visitor};
use crate::model::Role;

/// Says what is used of a budget of the installation, the most used accounts first (500 at most)
#[utoipa::path(
    get, path = "/budgets/{budget}/usage", tag = "budgets",
    extensions(("x-access" = json!("owner"))),
    params(("budget" = String, Path, description = "Name of the budget")),
    responses((status = 200, body = Vec<UsageView>)),
)]
pub(super) async fn show_budget_usage(
    State(app): State<App>,
    visitor: Visitor,
    Path(budget): Path<String>,
) -> Result<Json<Vec<UsageView>>, Problem> {
    usage(&app, &Holder::installation(&visitor)?, &budget).await
}

/// Says what is used of a budget of a team, the most used accounts first (500 at most)
#[utoipa::path(
    get, path = "/teams/{team}/budgets/{budget}/usage", tag = "budgets",
    extensions(("x-access" = json!("viewer"))),
    params(
        ("team" = String, Path, description = "Name of the team"),
        ("budget" = String, Path, description = "Name of the budget"),
    ),
    responses((status = 200, body = Vec<UsageView>)),
)]
pub(super) async fn show_team_budget_usage(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, budget)): Path<(String, String)>,
) -> Result<Json<Vec<UsageView>>, Problem> {
    let holder = Holder::team(&app, &visitor, (&team, Role::Viewer)).await?;
    usage(&app, &holder, &budget).await
}

async fn usage(app: &App, holder: &Holder, name: &str) -> Result<Json<Vec<UsageView>>, Problem> {
    let row = budgets::find(app, holder, name).await?;
    let used = budgets::usage(app, &row).await?;
    Ok(Json(used.into_iter().map(UsageView::from).collect()))
}

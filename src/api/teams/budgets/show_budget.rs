//! `GET …/budgets/{budget}`: one of them.

use axum::extract::State;

use crate::desk::server::budgets::view::BudgetView;
use crate::desk::server::budgets::{self, Holder};
use crate::http::{App, Json, Path, Problem, Visitor};
use crate::model::Role;

/// Shows a budget of the installation
#[utoipa::path(
    get, path = "/budgets/{budget}", tag = "budgets",
    extensions(("x-access" = json!("owner"))),
    params(("budget" = String, Path, description = "Name of the budget")),
    responses((status = 200, body = BudgetView)),
)]
pub(super) async fn show_budget(
    State(app): State<App>,
    visitor: Visitor,
    Path(budget): Path<String>,
) -> Result<Json<BudgetView>, Problem> {
    let holder = Holder::installation(&visitor)?;
    Ok(Json(budgets::find(&app, &holder, &budget).await?.into()))
}

/// Shows a budget of a team
#[utoipa::path(
    get, path = "/teams/{team}/budgets/{budget}", tag = "budgets",
    extensions(("x-access" = json!("viewer"))),
    params(
        ("team" = String, Path, description = "Name of the team"),
        ("budget" = String, Path, description = "Name of the budget"),
    ),
    responses((status = 200, body = BudgetView)),
)]
pub(super) async fn show_team_budget(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, budget)): Path<(String, String)>,
) -> Result<Json<BudgetView>, Problem> {
    let holder = Holder::team(&app, &visitor, (&team, Role::Viewer)).await?;
    Ok(Json(budgets::find(&app, &holder, &budget).await?.into()))
}

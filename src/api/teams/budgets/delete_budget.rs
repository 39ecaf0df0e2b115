//! `DELETE …/budgets/{budget}`: calls are no longer held to it. What was spent stays in the ledger.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::save_budget::check_seen;
use crate::desk::server::budgets::{self, Holder};
use crate::http::{App, Path, Problem, Visitor};
use crate::model::Role;

/// Removes a budget of the installation.
#[utoipa::path(
    delete, path = "/budgets/{budget}", tag = "budgets",
    extensions(("x-access" = json!("owner"))),
    params(
        ("budget" = String, Path, description = "Name of the budget"),
        ("if-match" = Option<String>, Header, description = "The `ETag` that it was seen with"),
    ),
    responses((status = 204)),
)]
pub(super) async fn delete_budget(
    State(app): State<App>,
    visitor: Visitor,
    Path(budget): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let holder = Holder::installation(&visitor)?;
    delete(&app, &visitor, (&holder, &budget), &headers).await
}

/// Removes a budget of a team.
#[utoipa::path(
    delete, path = "/teams/{team}/budgets/{budget}", tag = "budgets",
    extensions(("x-access" = json!("admin"))),
    params(
        ("team" = String, Path, description = "Name of the team"),
        ("budget" = String, Path, description = "Name of the budget"),
        ("if-match" = Option<String>, Header, description = "The `ETag` that it was seen with"),
    ),
    responses((status = 204)),
)]
pub(super) async fn delete_team_budget(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, budget)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let holder = Holder::team(&app, &visitor, (&team, Role::Admin)).await?;
    delete(&app, &visitor, (&holder, &budget), &headers).await
}

async fn delete(
    app: &App,
    visitor: &Visitor,
    (holder, name): (&Holder, &str),
    headers: &HeaderMap,
) -> Result<StatusCode, Problem> {
    let present = budgets::find(app, holder, name).await?;
    check_seen(headers, Some(&present))?;
    budgets::delete(app, visitor, holder, &present).await?;
    Ok(StatusCode::NO_CONTENT)
}

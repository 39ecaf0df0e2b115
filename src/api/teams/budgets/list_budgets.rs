//! `GET …/budgets`: ceilings for calls to models.

use axum::extract::State;

use crate::desk::server::budgets::view::BudgetView;
use crate::desk::server::budgets::{self, Holder};
use crate::http::{App, CursorForm, Json, Page, PageQuery, Path, Problem, Query, Visitor};
use crate::model::Role;

/// Lists the budgets of the installation and of all teams
#[utoipa::path(
    get, path = "/budgets", tag = "budgets",
    extensions(("x-access" = json!("owner"))),
    params(PageQuery),
    responses((status = 200, body = Page<BudgetView>)),
)]
pub(super) async fn list_budgets(
    State(app): State<App>,
    visitor: Visitor,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<BudgetView>>, Problem> {
    list(&app, &Holder::installation(&visitor)?, page).await
}

/// Lists the budgets of a team
#[utoipa::path(
    get, path = "/teams/{team}/budgets", tag = "budgets",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path, description = "Name of the team"), PageQuery),
    responses((status = 200, body = Page<BudgetView>)),
)]
pub(super) async fn list_team_budgets(
    State(app): State<App>,
    visitor: Visitor,
    Path(team): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<BudgetView>>, Problem> {
    list(&app, &Holder::team(&app, &visitor, (&team, Role::Viewer)).await?, page).await
}

async fn list(
    app: &App,
    holder: &Holder,
    page: PageQuery,
) -> Result<Json<Page<BudgetView>>, Problem> {
    let rows = budgets::list(app, holder).await?;
    let page = page.checked(CursorForm::Name)?;
    let page = Page::of_all(rows, &page, |it| it.id.clone());
    let items = page.items.into_iter().map(BudgetView::from).collect();
    Ok(Json(Page { items, next: page.next }))
}

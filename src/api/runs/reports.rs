//! What the reports of a run say by name.

mod list_tests;
mod list_findings;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{App, CursorForm, Page, PageQuery, Problem};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_tests::list_tests))
        .routes(routes!(list_findings::list_findings))
}

/// A page of a list that keeps its order.
fn in_order<T>(rows: Vec<T>, query: PageQuery) -> Result<Page<T>, Problem> {
    let query = query.checked(CursorForm::Numbered(8, '-'))?;
    let placed = rows.into_iter().enumerate().collect();
    let page = Page::of_all(placed, &query, |(place, _)| format!("{place:08}-"));
    Ok(Page { items: page.items.into_iter().map(|(_, it)| it).collect(), next: page.next })
}

//! What reports say: of a run by name, and of a project over time; where money went, and what
//! happened in calls to models.

mod list_tests;
mod list_findings;
mod show_tests;
mod show_metrics;
mod show_gates;
mod show_spend;
mod show_spend_trend;
mod show_load;
mod list_model_calls;
mod list_traces;
mod show_trace;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{App, CursorForm, Page, PageQuery, Problem};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_tests::list_tests))
        .routes(routes!(list_findings::list_findings))
        .routes(routes!(show_tests::show_tests))
        .routes(routes!(show_metrics::show_metrics))
        .routes(routes!(show_gates::show_gates))
        .routes(routes!(show_spend::show_spend))
        .routes(routes!(show_spend_trend::show_spend_trend))
        .routes(routes!(show_load::show_load))
        .routes(routes!(list_model_calls::list_model_calls))
        .routes(routes!(list_traces::list_traces))
        .routes(routes!(show_trace::show_trace))
}

/// A page of a list that keeps its order.
fn in_order<T>(rows: Vec<T>, query: PageQuery) -> Result<Page<T>, Problem> {
    let query = query.checked(CursorForm::Numbered(8, '-'))?;
    let placed = rows.into_iter().enumerate().collect();
    let page = Page::of_all(placed, &query, |(place, _)| format!("{place:08}-"));
    Ok(Page { items: page.items.into_iter().map(|(_, it)| it).collect(), next: page.next })
}

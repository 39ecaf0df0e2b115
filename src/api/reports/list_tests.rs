//! `GET /api/v1/runs/{run}/tests`: test cases that failed, were flaky or slow.

use axum::extract::State;

use crate::desk::reports;
use crate::http::{App, Json, Page, PageQuery, Path, Problem, Query, Visitor};
use crate::runs::view::CaseView;

/// Which of them.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TestsQuery {
    /// Only this stage: its key or name.
    stage: Option<String>,
    /// Only these outcomes, separated by commas: `failed`, `error`, `flaky`, `passed`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    outcome: String,
}

/// Lists the test cases of a run that are kept: those that failed or were flaky, and the slowest
///
/// By stage, the try that counts first, failures first.
#[utoipa::path(
    get, path = "/runs/{run}/tests", tag = "reports",
    extensions(("x-access" = json!("viewer"))),
    params(
        ("run" = String, Path, description = "Its id, its number, or the beginning of its id"),
        TestsQuery, PageQuery,
    ),
    responses((status = 200, body = Page<CaseView>)),
)]
pub(super) async fn list_tests(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
    Query(query): Query<TestsQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<CaseView>>, Problem> {
    let which = (query.stage.as_deref(), query.outcome.as_str());
    let cases = reports::cases(&app, &visitor, &run, which).await?;
    Ok(Json(super::in_order(cases, page)?))
}

//! `GET /api/v1/projects/{team}/{name}/tests`: failing and flaky tests over time.

use axum::extract::State;

use crate::desk::reports::trends::{self, TestTrend};
use crate::http::{App, Json, Path, Problem, Query, Visitor};

/// How far back.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DaysQuery {
    /// Days, today included (1 to 90); 30 unless asked otherwise.
    #[param(minimum = 1, maximum = 90)]
    days: Option<u32>,
}

/// Shows which tests of a project failed or were flaky, how often, and when last.
#[utoipa::path(
    get, path = "/projects/{team}/{name}/tests", tag = "reports",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path), ("name" = String, Path), DaysQuery),
    responses((status = 200, body = TestTrend)),
)]
pub(super) async fn show_tests(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    Query(query): Query<DaysQuery>,
) -> Result<Json<TestTrend>, Problem> {
    let days = query.days.unwrap_or(trends::DAYS);
    let (_, trend) = trends::tests(&app, &visitor, &format!("{team}/{name}"), days).await?;
    Ok(Json(trend))
}

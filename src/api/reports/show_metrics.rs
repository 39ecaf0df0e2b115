//! `GET /api/v1/projects/{team}/{name}/metrics`: how the runs of a project did, by day.

use axum::extract::State;

use crate::desk::reports::trends::{self, MetricsAsked, MetricsTrend};
use crate::http::{App, Json, Path, Problem, Query, Visitor};

/// Of which runs.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct MetricsQuery {
    /// Only this pipeline.
    pipeline: Option<String>,
    /// Only this branch. On the trunk, pull and merge requests do not count.
    branch: Option<String>,
    /// Days, today included (1 to 90); 30 unless asked otherwise.
    #[param(minimum = 1, maximum = 90)]
    days: Option<u32>,
}

/// Shows how the runs of a project did: duration, success, waiting and cost by day
///
/// The newest runs also stand one by one.
#[utoipa::path(
    get, path = "/projects/{team}/{name}/metrics", tag = "reports",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path), ("name" = String, Path), MetricsQuery),
    responses((status = 200, body = MetricsTrend)),
)]
pub(super) async fn show_metrics(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    Query(query): Query<MetricsQuery>,
) -> Result<Json<MetricsTrend>, Problem> {
    let is_some = |it: &String| !it.is_empty();
    let asked = MetricsAsked {
        pipeline: query.pipeline.filter(is_some),
        branch: query.branch.filter(is_some),
        days: query.days.unwrap_or(trends::DAYS),
    };
    let (_, trend) = trends::metrics(&app, &visitor, &format!("{team}/{name}"), &asked).await?;
    Ok(Json(trend))
}

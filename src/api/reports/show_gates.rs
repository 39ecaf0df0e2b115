//! `GET /api/v1/projects/{team}/{name}/gates`: gates over the newest runs of a project.

use axum::extract::State;

use crate::desk::reports::trends::{self, GateTrend, GatesAsked};
use crate::http::{App, Json, Page, Path, Problem, Query, Visitor};

/// Of which runs.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct GatesQuery {
    /// Only this pipeline.
    pipeline: Option<String>,
    /// Only this branch. On the trunk, pull and merge requests do not count.
    branch: Option<String>,
    /// Days, today included (1 to 90); 30 unless asked otherwise.
    #[param(minimum = 1, maximum = 90)]
    days: Option<u32>,
    /// The newest runs that are looked at (1 to 100); 50 unless asked otherwise.
    #[param(minimum = 1, maximum = 100)]
    runs: Option<u32>,
}

/// Shows the gates of a project: the value of each run beside its threshold and baseline.
#[utoipa::path(
    get, path = "/projects/{team}/{name}/gates", tag = "reports",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path), ("name" = String, Path), GatesQuery),
    responses((status = 200, body = Page<GateTrend>)),
)]
pub(super) async fn show_gates(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    Query(query): Query<GatesQuery>,
) -> Result<Json<Page<GateTrend>>, Problem> {
    let is_some = |it: &String| !it.is_empty();
    let asked = GatesAsked {
        pipeline: query.pipeline.filter(is_some),
        branch: query.branch.filter(is_some),
        days: query.days.unwrap_or(trends::DAYS),
        limit: query.runs.unwrap_or(trends::GATE_RUNS),
    };
    let items = trends::gates(&app, &visitor, &format!("{team}/{name}"), &asked).await?;
    Ok(Json(Page { items, next: None }))
}

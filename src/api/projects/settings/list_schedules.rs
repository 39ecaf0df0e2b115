//! `GET /api/v1/projects/{team}/{name}/schedules`: what the pipelines of the trunk say under `on: schedule`.

use axum::extract::State;

use crate::desk::projects::{self, settings};
use crate::http::{App, CursorForm, Json, Page, PageQuery, Path, Problem, Query, Visitor};
use crate::store::intake::schedules::ScheduleRow;

/// A schedule.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct ScheduleBody {
    /// Name of its pipeline.
    pipeline: String,
    /// Its name there.
    name: String,
    /// Five fields.
    cron: String,
    /// Name of the time zone that they count in.
    timezone: String,
    /// What becomes of a moment when no server was there: `run_once` or `skip`.
    missed: String,
    /// The branch that is run; empty for the trunk.
    branch: String,
    /// When it is due, in milliseconds since 1970-01-01 UTC; absent when that never comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<i64>,
    /// The moment that it was started for last; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<i64>,
}

impl From<ScheduleRow> for ScheduleBody {
    fn from(row: ScheduleRow) -> Self {
        Self {
            next_at: Some(row.next_at.0).filter(|it| *it != i64::MAX),
            last_at: Some(row.last_at.0).filter(|it| *it != 0),
            pipeline: row.pipeline,
            name: row.name,
            cron: row.cron,
            timezone: row.timezone,
            missed: row.missed,
            branch: row.branch,
        }
    }
}

/// Lists the schedules of a project
#[utoipa::path(
    get, path = "/projects/{team}/{name}/schedules", tag = "projects",
    extensions(("x-access" = json!("viewer"))),
    params(("team" = String, Path), ("name" = String, Path), PageQuery),
    responses((status = 200, body = Page<ScheduleBody>)),
)]
pub(super) async fn list_schedules(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ScheduleBody>>, Problem> {
    let project = projects::find(&app, &visitor, &format!("{team}/{name}")).await?;
    let rows = settings::list_schedules(&app, &project).await?;
    let rows = rows.into_iter().map(ScheduleBody::from).collect();
    let cursor = |it: &ScheduleBody| format!("{}/{}", it.pipeline, it.name);
    Ok(Json(Page::of_all(rows, &page.checked(CursorForm::Name)?, cursor)))
}

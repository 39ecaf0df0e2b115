//! `PUT /api/v1/projects/{team}/{name}/retention`: how long the project's runs are kept.

use axum::extract::State;
use axum::http::StatusCode;

use crate::http::{App, Json, Path, Problem, Visitor};
use crate::model::Role;

/// The most that can be asked for.
const DAYS_MAX: u32 = 36_500;
const COUNT_MAX: u32 = 100_000;

/// How long runs are kept. What is left out is as the server's settings say.
#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveRetention {
    /// Finished runs go after so many days; 0 for never.
    #[serde(default)]
    #[schema(maximum = 36_500)]
    runs_days: Option<u32>,
    /// The newest so many runs stay whatever their age.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000)]
    runs_count: Option<u32>,
}

/// Says how long the runs of a project are kept, in place of what the server's settings say.
#[utoipa::path(
    put, path = "/projects/{team}/{name}/retention", tag = "projects",
    extensions(("x-access" = json!("admin"))),
    params(("team" = String, Path), ("name" = String, Path)),
    request_body = SaveRetention,
    responses((status = 204)),
)]
pub(super) async fn save_retention(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    Json(request): Json<SaveRetention>,
) -> Result<StatusCode, Problem> {
    let project = super::find(&app, &visitor, &format!("{team}/{name}")).await?;
    visitor.require(&project.team, Role::Admin, "this project")?;
    let SaveRetention { runs_days, runs_count } = request;
    if runs_days.is_some_and(|it| it > DAYS_MAX) {
        return Err(Problem::bad_request(format!("`runs_days` is at most {DAYS_MAX}")));
    }
    if runs_count.is_some_and(|it| it == 0 || it > COUNT_MAX) {
        return Err(Problem::bad_request(format!("`runs_count` is from 1 to {COUNT_MAX}")));
    }
    app.store.save_run_retention(&project.id, runs_days, runs_count).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! `GET /api/v1/runs/{run}`: one run with its stages.

use axum::Json;
use axum::extract::{Path, State};

use super::body::RunWithStages;
use crate::http::{App, Problem, Visitor};
use crate::model::Role;

/// Shows a run.
#[utoipa::path(
    get, path = "/runs/{run}", tag = "runs",
    extensions(("x-access" = json!("viewer"))),
    params(("run" = String, Path, description = "Its id")),
    responses((status = 200, body = RunWithStages)),
)]
pub(super) async fn show_run(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
) -> Result<Json<RunWithStages>, Problem> {
    Ok(Json(super::load(&app, &visitor, &run, Role::Viewer).await?.into()))
}

//! `GET /api/v1/runs/{run}`: one run with its stages.

use axum::extract::State;

use crate::http::{App, Json, Path, Problem, Visitor};
use crate::model::Role;
use crate::runs::view::RunView;

/// Shows a run: its stages, attempts, steps, gates, outputs and what it waits for.
#[utoipa::path(
    get, path = "/runs/{run}", tag = "runs",
    extensions(("x-access" = json!("viewer"))),
    params(("run" = String, Path, description = "Its id, its number, or the beginning of its id")),
    responses((status = 200, body = RunView)),
)]
pub(super) async fn show_run(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
) -> Result<Json<RunView>, Problem> {
    let loaded = super::load(&app, &visitor, &run, Role::Viewer).await?;
    Ok(Json(RunView::of(&loaded, app.now())))
}

//! `POST /api/v1/runs/{run}/rerun`: tries again what a finished run did.

use axum::extract::State;

use crate::desk::runs::{self, RerunOrder};
use crate::http::{App, Json, Path, Problem, Visitor};
use crate::runs::view::RunView;

/// What is tried again.
#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RerunRequest {
    /// Only what failed or was cancelled, and what was skipped because of that.
    #[serde(default)]
    failed: bool,
    /// Only these stages and what follows them, by key or name.
    #[serde(default)]
    stages: Vec<String>,
    /// Whether stages run although nothing they depend on has changed.
    #[serde(default)]
    no_reuse: bool,
}

/// Runs stages of a finished run again.
#[utoipa::path(
    post, path = "/runs/{run}/rerun", tag = "runs",
    extensions(("x-access" = json!("developer"))),
    params(("run" = String, Path, description = "Its id, its number, or the beginning of its id")),
    request_body = RerunRequest,
    responses((status = 200, body = RunView)),
)]
pub(super) async fn rerun_run(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
    Json(request): Json<RerunRequest>,
) -> Result<Json<RunView>, Problem> {
    let order = RerunOrder {
        is_failed_only: request.failed,
        stages: request.stages,
        no_reuse: request.no_reuse,
    };
    let loaded = runs::rerun(&app, &visitor, &run, &order).await?;
    Ok(Json(RunView::of(&loaded, app.now())))
}

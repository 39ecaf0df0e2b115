//! `POST /api/v1/runs/{run}/cancel`: stops a run; a second time, or with `force`, at once.

use axum::extract::State;

use crate::engine::Command;
use crate::http::{App, Json, Path, Problem, Visitor};
use crate::model::{Role, RunStatus};
use crate::runs::view::RunView;

/// Why it is stopped.
#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelRequest {
    /// For those who look at it later.
    #[serde(default)]
    #[schema(max_length = 10_000)]
    reason: String,
    /// Whether neither the grace nor `always()` stages are waited for.
    #[serde(default)]
    force: bool,
}

/// Stops a run.
#[utoipa::path(
    post, path = "/runs/{run}/cancel", tag = "runs",
    extensions(("x-access" = json!("developer"))),
    params(("run" = String, Path, description = "Its id, its number, or the beginning of its id")),
    request_body = CancelRequest,
    responses((status = 200, body = RunView)),
)]
pub(super) async fn cancel_run(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
    Json(request): Json<CancelRequest>,
) -> Result<Json<RunView>, Problem> {
    let mut loaded = super::load(&app, &visitor, &run, Role::Developer).await?;
    let cancel = || Command::Cancel {
        by: visitor.0.login.clone(),
        reason: request.reason.chars().take(super::TEXT_CHARS_MAX).collect(),
    };
    let is_first = loaded.run.status() != RunStatus::Cancelling;
    app.runs.execute(&mut loaded, &cancel(), app.now()).await?;
    // A run of which nothing was under way has ended by the first.
    if request.force && is_first && !loaded.run.status().is_finished() {
        app.runs.execute(&mut loaded, &cancel(), app.now()).await?;
    }
    Ok(Json(RunView::of(&loaded, app.now())))
}

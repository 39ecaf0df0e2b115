//! `POST /api/v1/runs/{run}/cancel`: cancels a run; a second time, or with `force`, at once.

use axum::extract::State;

use crate::desk::runs::{self, CancelOrder};
use crate::http::{App, Json, Path, Problem, Visitor};
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

/// Cancels a run.
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
    let order = CancelOrder { reason: &request.reason, is_forced: request.force };
    let loaded = runs::cancel(&app, &visitor, &run, order).await?;
    Ok(Json(RunView::of(&loaded, app.now())))
}

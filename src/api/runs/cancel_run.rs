//! `POST /api/v1/runs/{run}/cancel`: stops a run; a second time, at once.

use axum::Json;
use axum::extract::{Path, State};

use super::body::RunWithStages;
use crate::engine::Command;
use crate::http::{App, Problem, Visitor};
use crate::model::Role;

/// Why it is stopped.
#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelRequest {
    /// For those who look at it later.
    #[serde(default)]
    reason: String,
}

/// Stops a run.
#[utoipa::path(
    post, path = "/runs/{run}/cancel", tag = "runs",
    extensions(("x-access" = json!("developer"))),
    params(("run" = String, Path, description = "Its id")),
    request_body = CancelRequest,
    responses((status = 200, body = RunWithStages)),
)]
pub(super) async fn cancel_run(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
    Json(request): Json<CancelRequest>,
) -> Result<Json<RunWithStages>, Problem> {
    let mut loaded = super::load(&app, &visitor, &run, Role::Developer).await?;
    let command = Command::Cancel { by: visitor.0.login, reason: request.reason };
    app.runs.execute(&mut loaded, &command, app.now()).await?;
    Ok(Json(loaded.into()))
}

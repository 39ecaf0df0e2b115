//! `PATCH /api/v1/workers/{worker}`: whether it takes something new.

use axum::extract::State;
use axum::http::StatusCode;

use crate::desk::server::fleet;
use crate::http::{App, Json, Path, Problem, Visitor};

/// What changes of a worker.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeWorker {
    /// Whether it takes nothing new: what runs there ends, and it leaves (a server only drives nothing more).
    draining: bool,
}

/// Lets a worker take nothing new, or take runs again
#[utoipa::path(
    patch, path = "/workers/{worker}", tag = "workers",
    extensions(("x-access" = json!("owner"))),
    params(("worker" = String, Path, description = "Its name")),
    request_body = ChangeWorker,
    responses((status = 204)),
)]
pub(super) async fn change_worker(
    State(app): State<App>,
    visitor: Visitor,
    Path(worker): Path<String>,
    Json(request): Json<ChangeWorker>,
) -> Result<StatusCode, Problem> {
    fleet::save_draining(&app, &visitor, (&worker, request.draining)).await?;
    Ok(StatusCode::NO_CONTENT)
}

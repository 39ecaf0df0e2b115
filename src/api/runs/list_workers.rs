//! `GET /api/v1/workers`: the processes that drive runs.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;

use crate::http::{App, Problem, Visitor};
use crate::model::Timestamp;
use crate::store::fleet::workers::WorkerRow;

/// A process that drives runs.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct WorkerBody {
    /// Its name.
    name: String,
    /// `server` or `worker`.
    kind: String,
    /// What stages may ask for.
    labels: BTreeMap<String, String>,
    /// Attempts at the same time.
    slots: i64,
    /// Attempts under way, as it said last.
    running: u32,
    /// Version of the program.
    version: String,
    /// Milliseconds since 1970-01-01 UTC.
    started_at: i64,
    /// When it gave a sign of life last.
    seen_at: i64,
    /// Whether that was a moment ago.
    alive: bool,
    /// Whether it takes nothing new.
    draining: bool,
}

impl WorkerBody {
    fn new(row: WorkerRow, now: Timestamp) -> Self {
        Self {
            alive: row.is_alive(now),
            running: row.running.values().sum(),
            name: row.name,
            kind: row.kind,
            labels: row.labels,
            slots: row.slots,
            version: row.version,
            started_at: row.started_at.0,
            seen_at: row.seen_at.0,
            draining: row.draining,
        }
    }
}

/// Lists the workers, dead ones of the last week too.
#[utoipa::path(
    get, path = "/workers", tag = "workers",
    extensions(("x-access" = json!("owner"))),
    responses((status = 200, body = Vec<WorkerBody>)),
)]
pub(super) async fn list_workers(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<Json<Vec<WorkerBody>>, Problem> {
    visitor.require_owner()?;
    let (workers, now) = (app.store.list_workers().await?, app.now());
    Ok(Json(workers.into_iter().map(|it| WorkerBody::new(it, now)).collect()))
}

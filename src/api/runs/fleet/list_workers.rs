//! `GET /api/v1/workers`: the processes that drive runs.

use std::collections::BTreeMap;

use axum::extract::State;

use crate::desk::server::fleet;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Problem, Query, Visitor};
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
    params(PageQuery),
    responses((status = 200, body = Page<WorkerBody>)),
)]
pub(super) async fn list_workers(
    State(app): State<App>,
    visitor: Visitor,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<WorkerBody>>, Problem> {
    let (workers, now) = (fleet::list_workers(&app, &visitor).await?, app.now());
    let rows = workers.into_iter().map(|it| WorkerBody::new(it, now)).collect();
    Ok(Json(Page::of_all(rows, &page.checked(CursorForm::Name)?, |it: &WorkerBody| {
        it.name.clone()
    })))
}

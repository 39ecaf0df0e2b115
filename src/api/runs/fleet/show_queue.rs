//! `GET /api/v1/queue`: what waits, for what, and in which place.

use std::collections::BTreeMap;

use axum::extract::State;

use crate::desk::server::fleet;
use crate::engine::WaitsFor;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Problem, Query, Visitor};
use crate::runs::queue::{Queued, Reason};

/// A run that waits for something.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct QueuedBody {
    /// Id of the run.
    run: String,
    /// Its number.
    number: i64,
    /// Id of its project; empty for runs from a terminal.
    project: String,
    /// Name of the pipeline.
    pipeline: String,
    /// Its place among all runs that no worker has taken yet, those of other teams included; from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    /// What it waits for.
    reasons: Vec<ReasonBody>,
}

/// What a run, or a stage of it, waits for.
#[derive(Debug, Default, serde::Serialize, utoipa::ToSchema)]
struct ReasonBody {
    /// `worker`, `no_worker`, `draining`, `labels`, `lease`, `admission`, `slot`, `room`, `people` or `retry`.
    kind: String,
    /// Key of the stage that waits; absent when the run as a whole does.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    /// Name of the concurrency group.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// Labels that no worker has.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    /// The worker whose lease is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    /// Workers that could take it and are draining.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    workers: Vec<String>,
    /// Approvals that are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u32>,
    /// Until when, in milliseconds since 1970-01-01 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

impl QueuedBody {
    /// Those that nobody has taken come first, in their order.
    fn cursor(&self) -> String {
        format!("{:06}-{:019}", self.position.unwrap_or(999_999), self.number)
    }
}

impl From<Queued> for QueuedBody {
    fn from(queued: Queued) -> Self {
        Self {
            run: queued.row.id.0,
            number: queued.row.number,
            project: queued.row.project.0,
            pipeline: queued.row.pipeline,
            position: queued.position,
            reasons: queued.reasons.into_iter().map(ReasonBody::from).collect(),
        }
    }
}

impl From<Reason> for ReasonBody {
    fn from(reason: Reason) -> Self {
        let of = |kind: &str| Self { kind: kind.to_owned(), ..Self::default() };
        match reason {
            Reason::Worker => of("worker"),
            Reason::NoWorker => of("no_worker"),
            Reason::Draining { workers } => Self { workers, ..of("draining") },
            Reason::Labels { labels } => Self { labels, ..of("labels") },
            Reason::Lease { owner, until } => {
                Self { worker: Some(owner), until: Some(until.0), ..of("lease") }
            }
            Reason::Stage { stage, waits_for } => Self { stage, ..Self::from(waits_for) },
        }
    }
}

impl From<WaitsFor> for ReasonBody {
    fn from(waits_for: WaitsFor) -> Self {
        let of = |kind: &str| Self { kind: kind.to_owned(), ..Self::default() };
        match waits_for {
            WaitsFor::Admission { group } => Self { group: Some(group), ..of("admission") },
            WaitsFor::Slot { group } => Self { group: Some(group), ..of("slot") },
            WaitsFor::Retry { until } => Self { until: Some(until.0), ..of("retry") },
            WaitsFor::People { missing, until } => {
                Self { missing: Some(missing), until: Some(until.0), ..of("people") }
            }
            WaitsFor::Driver | WaitsFor::Needs(_) | WaitsFor::Room | WaitsFor::Attempt => {
                of("room")
            }
        }
    }
}

/// Lists runs of the caller's teams that wait, with their places and reasons.
#[utoipa::path(
    get, path = "/queue", tag = "runs",
    extensions(("x-access" = json!("signed-in"))),
    params(PageQuery),
    responses((status = 200, body = Page<QueuedBody>)),
)]
pub(super) async fn show_queue(
    State(app): State<App>,
    visitor: Visitor,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<QueuedBody>>, Problem> {
    let queue = fleet::list_queue(&app, &visitor).await?;
    let rows = queue.into_iter().map(QueuedBody::from).collect();
    Ok(Json(Page::of_all(rows, &page.checked(CursorForm::Numbered(6, '-'))?, QueuedBody::cursor)))
}

//! `GET /api/v1/runs/stream`: the caller's runs as they are, and then each that changes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::desk::runs::{self, RunsQuery};
use crate::http::{App, Problem, Query, Visitor, event, event_stream};
use crate::model::{RunId, RunStatus};
use crate::runs::Change;
use crate::runs::view::RunRowView;
use crate::store::runs::{RunFilter, RunRow};

/// Runs that are looked at, newest first; so many unfinished ones beside.
const WATCHED: u32 = 50;
const UNFINISHED_MAX: u32 = 200;
/// The shortest time between two looks: what changes in between is told once.
const PACE: Duration = Duration::from_millis(500);

/// Follows runs: the newest as they are now, then each one that is made or changes, as it then is. What
/// changes often is told as often as can be shown; who comes back begins with what is then.
#[utoipa::path(
    get, path = "/runs/stream", tag = "runs",
    extensions(("x-access" = json!("signed-in"))),
    params(RunsQuery),
    responses((status = 200, body = String, content_type = "text/event-stream")),
)]
pub(super) async fn watch_runs(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<RunsQuery>,
) -> Result<Response, Problem> {
    let filter = runs::filter(&app, &visitor, query).await?;
    let place = app.streams.open(&visitor.0, app.now())?;
    let watcher = Watcher {
        changes: app.runs.subscribe(),
        app: app.clone(),
        filter,
        seen: BTreeMap::new(),
        queue: VecDeque::new(),
        looked_at: None,
    };
    let events = stream::unfold(watcher, |mut it| async { Some((it.next().await, it)) });
    Ok(event_stream(&app, place, events))
}

struct Watcher {
    app: App,
    filter: RunFilter,
    changes: broadcast::Receiver<Change>,
    /// How many events each watched run had when it was last told.
    seen: BTreeMap<RunId, i64>,
    queue: VecDeque<RunRow>,
    looked_at: Option<Instant>,
}

impl Watcher {
    async fn next(&mut self) -> Result<Event, Problem> {
        loop {
            if let Some(row) = self.queue.pop_front() {
                return event("run", None, &RunRowView::of(&row, false));
            }
            if let Some(looked_at) = self.looked_at {
                self.app.runs.any_changed(&mut self.changes).await;
                tokio::time::sleep_until(looked_at + PACE).await;
            }
            self.look().await?;
        }
    }

    async fn look(&mut self) -> Result<(), Problem> {
        self.looked_at = Some(Instant::now());
        // All that was announced until now is in what is read next.
        self.changes = self.app.runs.subscribe();
        let newest = RunFilter { limit: WATCHED, ..self.filter.clone() };
        let mut rows = self.app.store.list_runs(&newest).await?;
        let is_unfinished = |it: &RunStatus| !it.is_finished();
        let mut statuses: Vec<_> =
            self.filter.statuses.iter().copied().filter(is_unfinished).collect();
        if self.filter.statuses.is_empty() {
            statuses = vec![
                RunStatus::Queued,
                RunStatus::Running,
                RunStatus::Waiting,
                RunStatus::Cancelling,
            ];
        }
        if !statuses.is_empty() {
            let limit = UNFINISHED_MAX;
            let unfinished = RunFilter { statuses, limit, ..self.filter.clone() };
            rows.extend(self.app.store.list_runs(&unfinished).await?);
        }
        rows.extend(self.fallen_out(&rows).await?);
        rows.sort_by(|one, other| one.id.cmp(&other.id));
        rows.dedup_by(|one, other| one.id == other.id);
        let before = std::mem::take(&mut self.seen);
        for row in rows {
            self.seen.insert(row.id.clone(), row.events);
            if before.get(&row.id) != Some(&row.events) {
                self.queue.push_back(row);
            }
        }
        Ok(())
    }

    /// Runs that were watched and are no longer among those that are looked for, such as an old one that has
    /// just ended: told of once more.
    async fn fallen_out(&self, rows: &[RunRow]) -> Result<Vec<RunRow>, Problem> {
        let is_here = |id: &RunId| rows.iter().any(|it| it.id == *id);
        let mut found = Vec::new();
        for (id, events) in self.seen.iter().filter(|(id, _)| !is_here(id)) {
            let row = self.app.store.find_run(id).await?;
            found.extend(row.filter(|it| it.events != *events));
        }
        Ok(found)
    }
}

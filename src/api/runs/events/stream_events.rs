//! `GET /api/v1/runs/{run}/events/stream`: what has happened and what happens, until the run has ended.

use std::collections::VecDeque;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use tokio::sync::broadcast;

use super::AfterQuery;
use crate::http::{App, Path, Problem, Query, Visitor, event, event_stream};
use crate::model::Role;
use crate::runs::view::EventView;
use crate::runs::{Change, LoadedRun};
use crate::store::runs::StoredEvent;

/// Events that are read at once.
const BATCH: u32 = 100;

/// The last event of a stream.
#[derive(Debug, serde::Serialize)]
struct EndBody {
    /// How the run has ended; `deleted` when it is gone.
    status: String,
}

/// Follows a run: each event as `event`, whose id is its sequence number, and `end` when the run has ended. Who
/// comes back with `Last-Event-ID` misses nothing and sees nothing twice.
#[utoipa::path(
    get, path = "/runs/{run}/events/stream", tag = "runs",
    extensions(("x-access" = json!("viewer"))),
    params(
        ("run" = String, Path, description = "Its id, its number, or the beginning of its id"),
        ("last-event-id" = Option<String>, Header, description = "The last one that was seen"),
        AfterQuery,
    ),
    responses((status = 200, body = String, content_type = "text/event-stream")),
)]
pub(super) async fn stream_events(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
    Query(query): Query<AfterQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let changes = app.runs.subscribe();
    let mut loaded = crate::api::runs::load(&app, &visitor, &run, Role::Viewer).await?;
    loaded.seq = super::first(&query, &headers)?;
    let place = app.streams.open(&visitor.0, app.now())?;
    let app_of_stream = app.clone();
    let follower =
        Follower { app: app_of_stream, loaded, changes, queue: VecDeque::new(), is_over: false };
    let events = stream::unfold(follower, |mut it| async {
        let next = it.next().await.transpose()?;
        Some((next, it))
    });
    Ok(event_stream(&app, place, events))
}

struct Follower {
    app: App,
    /// Its `seq` is the next event to read; its state is not kept up to date.
    loaded: LoadedRun,
    changes: broadcast::Receiver<Change>,
    queue: VecDeque<StoredEvent>,
    is_over: bool,
}

impl Follower {
    /// The next event; `None` behind the last.
    async fn next(&mut self) -> Result<Option<Event>, Problem> {
        loop {
            if let Some(stored) = self.queue.pop_front() {
                let view = EventView::of(&self.loaded.run, &stored);
                return event("event", Some(stored.seq.to_string()), &view).map(Some);
            }
            if self.is_over {
                return Ok(None);
            }
            let id = &self.loaded.row.id;
            // Looked at before its events are read, so that none is missed when it has ended.
            let row = self.app.store.find_run(id).await?;
            let stored = self.app.store.list_some_events(id, self.loaded.seq, BATCH).await?;
            if let Some(last) = stored.last() {
                self.loaded.seq = last.seq + 1;
                self.queue.extend(stored);
                continue;
            }
            let status = row.map_or_else(
                || Some("deleted".to_owned()),
                |it| it.status.is_finished().then(|| it.status.to_string()),
            );
            if let Some(status) = status {
                self.is_over = true;
                return event("end", None, &EndBody { status }).map(Some);
            }
            self.app.runs.changed(&mut self.changes, &self.loaded).await;
        }
    }
}

//! `GET /api/v1/runs/{run}/stages/{stage}/log/stream`: what a stage prints, through all its tries.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use tokio::sync::broadcast;

use super::Wanted;
use super::body::LogEvent;
use crate::blobs::{LogPlace, LogReader};
use crate::http::{App, Path, Problem, Query, Visitor, event, event_stream};
use crate::runs::Change;

/// Lines of one event at most.
const LINES_MAX: usize = 1000;
/// How long a log is waited for before the run is looked at again: its worker may be gone.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Which log.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FollowQuery {
    /// Only this attempt, from 1; when it is left out the last one and those that follow it.
    #[param(minimum = 1)]
    attempt: Option<u32>,
    /// The first line, from 1; below 0 counts from the end.
    from_line: Option<i64>,
}

/// The last event of a stream.
#[derive(Debug, serde::Serialize)]
struct EndBody {
    /// The last attempt; 0 when there was none.
    attempt: u32,
    /// Where the stage stands.
    status: String,
}

/// Follows a log: `lines` with an id that says how far it goes, and `end` when no more will come.
#[utoipa::path(
    get, path = "/runs/{run}/stages/{stage}/log/stream", tag = "logs",
    extensions(("x-access" = json!("viewer"))),
    params(
        ("run" = String, Path, description = "Its id, its number, or the beginning of its id"),
        ("stage" = String, Path, description = "Key or name of the stage"),
        ("last-event-id" = Option<String>, Header, description = "The last one that was seen"),
        FollowQuery,
    ),
    responses((status = 200, body = String, content_type = "text/event-stream")),
)]
pub(super) async fn stream_log(
    State(app): State<App>,
    visitor: Visitor,
    Path((run, stage)): Path<(String, String)>,
    Query(query): Query<FollowQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let changes = app.runs.subscribe();
    let wanted = Wanted::find(&app, &visitor, (&run, &stage)).await?;
    let seen = super::place_of(&headers)?;
    let attempt = match seen {
        Some((attempt, _)) => attempt.max(1),
        None => wanted.attempt(query.attempt)?.max(1),
    };
    let start = match seen {
        Some((_, offset)) => Start::Offset(offset),
        None => Start::Line(query.from_line.unwrap_or(1)),
    };
    let place = app.streams.open(&visitor.0.person, app.now())?;
    let follower = Follower {
        app: app.clone(),
        wanted,
        changes,
        attempt,
        is_only_one: query.attempt.is_some(),
        start,
        open: None,
        size_bytes: 0,
        is_over: false,
    };
    let events = stream::unfold(follower, |mut it| async {
        let next = it.next().await.transpose()?;
        Some((next, it))
    });
    Ok(event_stream(&app, place, events))
}

/// Where the reading of an attempt's log begins.
#[derive(Debug, Clone, Copy)]
enum Start {
    Offset(u64),
    Line(i64),
}

struct Follower {
    app: App,
    wanted: Wanted,
    changes: broadcast::Receiver<Change>,
    attempt: u32,
    is_only_one: bool,
    start: Start,
    open: Option<(LogReader, LogPlace)>,
    /// How much of the log there was when it was last read.
    size_bytes: u64,
    is_over: bool,
}

impl Follower {
    /// The next event; `None` behind the last.
    async fn next(&mut self) -> Result<Option<Event>, Problem> {
        loop {
            if self.is_over {
                return Ok(None);
            }
            // Looked at before the log is read, so that what is printed last is not missed.
            self.app.runs.refresh(&mut self.wanted.loaded).await?;
            let is_ended = self.wanted.is_ended(self.attempt);
            self.open_log().await?;
            if let Some(event) = self.new_lines(is_ended).await? {
                return Ok(Some(event));
            }
            if self.has_next_attempt() {
                (self.attempt, self.start, self.open) = (self.attempt + 1, Start::Line(1), None);
            } else if self.is_last(is_ended) {
                self.is_over = true;
                return self.end().map(Some);
            } else {
                self.wait().await?;
            }
        }
    }

    async fn open_log(&mut self) -> Result<(), Problem> {
        if self.open.is_some() {
            return Ok(());
        }
        let name = self.wanted.name(self.attempt);
        let Some(reader) = super::open(&self.app, &name).await? else { return Ok(()) };
        let place = match self.start {
            Start::Offset(offset) => reader.place_of_offset(offset).await?,
            Start::Line(from) => {
                let lines = reader.extent().await?.lines;
                reader.place_of_line(super::read_log::first_line(from, lines)).await?
            }
        };
        self.open = Some((reader, place));
        Ok(())
    }

    async fn new_lines(&mut self, is_ended: bool) -> Result<Option<Event>, Problem> {
        let Some((reader, place)) = &mut self.open else { return Ok(None) };
        self.size_bytes = reader.extent().await?.size_bytes;
        let (lines, end) = reader.next_lines(*place, LINES_MAX, !is_ended).await?;
        if lines.is_empty() {
            return Ok(None);
        }
        *place = end;
        let id = format!("{}:{}", self.attempt, end.offset);
        let lines = lines.into_iter().map(Into::into).collect();
        event("lines", Some(id), &LogEvent { attempt: self.attempt, lines }).map(Some)
    }

    /// Whether a later attempt has begun: then this one has nothing more to say.
    fn has_next_attempt(&self) -> bool {
        !self.is_only_one && self.attempt < self.wanted.attempts()
    }

    /// Whether no more will come: of this attempt, or of the stage.
    fn is_last(&self, is_ended: bool) -> bool {
        let run = &self.wanted.loaded.run;
        let stage = run.stage(self.wanted.stage);
        let is_over = stage.is_none_or(|it| it.status.is_finished());
        if self.is_only_one { is_ended || is_over } else { is_over || run.status().is_finished() }
    }

    fn end(&self) -> Result<Event, Problem> {
        let stage = self.wanted.loaded.run.stage(self.wanted.stage);
        let status = stage.map_or_else(String::new, |it| it.status.to_string());
        let attempt = self.attempt.min(self.wanted.attempts());
        event("end", None, &EndBody { attempt, status })
    }

    /// Until the log has grown or the run has changed, or a short while.
    async fn wait(&mut self) -> Result<(), Problem> {
        let Some((reader, _)) = &self.open else {
            self.app.runs.changed(&mut self.changes, &self.wanted.loaded).await;
            return Ok(());
        };
        let grown = async {
            match reader.wait_for(self.size_bytes).await {
                Ok(true) => Ok(()),
                // The run will say that it has ended.
                Ok(false) => std::future::pending().await,
                Err(error) => Err(error),
            }
        };
        let changed = self.app.runs.changed(&mut self.changes, &self.wanted.loaded);
        tokio::select! {
            grown = grown => grown?,
            () = changed => (),
            () = tokio::time::sleep(LOOK_AGAIN) => (),
        }
        Ok(())
    }
}

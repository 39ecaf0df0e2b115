//! `/runs/{run}/stages/{stage}/log`: a window of lines, as the script of the page asks for it; and the news of a
//! log while it grows.

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};

use super::address::Address;
use super::lines::{self, OutlineBody};
use crate::desk::logs::{self, LogWindow, StageLog};
use crate::http::{App, Path, Problem, Query, Visitor, event, event_stream};
use crate::model::Timestamp;
use crate::ui::words::Words;

/// What was printed stays what it is: a browser may keep it for so long.
const KEEP: &str = "private, max-age=3600, immutable";

/// Which lines.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct WindowQuery {
    attempt: Option<u32>,
    /// The first one, from 1.
    #[serde(default)]
    from: u64,
    #[serde(default)]
    count: usize,
    /// The version of the server: browsers keep answers, and each version makes its own.
    #[serde(default, rename = "v")]
    _version: String,
}

pub(super) async fn window(
    State(app): State<App>,
    visitor: Visitor,
    Path((run, stage)): Path<(String, String)>,
    Query(query): Query<WindowQuery>,
) -> Result<Response, Problem> {
    let log = StageLog::find(&app, &visitor, (&run, &stage)).await?;
    let attempt = log.attempt(query.attempt)?;
    let count = query.count.clamp(1, logs::LINES_MAX);
    let window = logs::window(&app, &log, attempt, (query.from, count)).await?;
    let address = Address::new(&run, &stage);
    let html = lines::rows(&window, (&address, attempt), started_at(&log, attempt)).concat();
    let mut response = Html(html).into_response();
    if is_settled(&window, query.from, count) && query.attempt.is_some() {
        let keep = header::HeaderValue::from_static(KEEP);
        response.headers_mut().insert(header::CACHE_CONTROL, keep);
    }
    Ok(response)
}

/// Whether the same lines would be given at any later time.
fn is_settled(window: &LogWindow, from: u64, count: usize) -> bool {
    let end = from.max(1) - 1 + count as u64;
    !window.is_open && !window.lines.is_empty() && (window.is_complete || window.total > end)
}

pub(super) fn started_at(log: &StageLog, attempt: u32) -> Timestamp {
    let place = usize::try_from(attempt).unwrap_or(usize::MAX).wrapping_sub(1);
    let stage = log.loaded.run.stage(log.stage);
    stage.and_then(|it| it.attempts.get(place)).map_or(Timestamp(0), |it| it.started_at)
}

/// Which log is followed.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct FollowQuery {
    attempt: Option<u32>,
}

/// `outline` now and when it has changed, and `end`.
pub(super) async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Path((run, stage)): Path<(String, String)>,
    Query(query): Query<FollowQuery>,
) -> Result<Response, Problem> {
    let changes = app.runs.subscribe();
    let log = StageLog::find(&app, &visitor, (&run, &stage)).await?;
    log.attempt(query.attempt)?;
    let place = app.streams.open(&visitor.0, app.now())?;
    let outlines = logs::outlines(app.clone(), changes, log, query.attempt);
    let clock = app.clone();
    let events = outlines.map(move |news| {
        let (outline, stage) = news?;
        let words = Words::at(clock.now());
        event("outline", None, &OutlineBody::of(&outline, &stage, words))
    });
    let end = stream::once(async { event("end", None, &()) });
    Ok(event_stream(&app, place, events.chain(end)))
}

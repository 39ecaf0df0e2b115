//! `GET /api/v1/runs/{run}/stages/{stage}/log/stream`: what a stage prints, through all its tries.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;

use super::body::LogEvent;
use crate::desk::logs::{Follower, LogNews, StageLog, Start};
use crate::http::{App, Path, Problem, Query, Visitor, event, event_stream};

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
    let wanted = StageLog::find(&app, &visitor, (&run, &stage)).await?;
    let seen = super::place_of(&headers)?;
    let attempt = match seen {
        Some((attempt, _)) => attempt.max(1),
        None => wanted.attempt(query.attempt)?.max(1),
    };
    let start = match seen {
        Some((_, offset)) => Start::Offset(offset),
        None => Start::Line(query.from_line.unwrap_or(1)),
    };
    let place = app.streams.open(&visitor.0, app.now())?;
    let is_only_one = query.attempt.is_some();
    let follower = Follower::new(app.clone(), changes, wanted, (attempt, start)).only(is_only_one);
    let events = stream::unfold(follower, |mut it| async {
        let next = it.next().await.transpose()?;
        Some((next.and_then(told), it))
    });
    Ok(event_stream(&app, place, events))
}

fn told(news: LogNews) -> Result<Event, Problem> {
    match news {
        LogNews::Lines { attempt, lines, end } => {
            let lines = lines.into_iter().map(Into::into).collect();
            event("lines", Some(format!("{attempt}:{end}")), &LogEvent { attempt, lines })
        }
        LogNews::End { attempt, status } => event("end", None, &EndBody { attempt, status }),
    }
}

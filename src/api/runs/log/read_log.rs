//! `GET /api/v1/runs/{run}/stages/{stage}/log`: the lines of a log, or all of its bytes.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::body::LogPage;
use super::download;
use crate::desk::logs::{StageLog, first_line};
use crate::http::{App, Json, Path, Problem, Query, Visitor};

/// Lines of a page unless asked otherwise, and at most.
const LINES: u32 = 500;
const LINES_MAX: u32 = 5000;

/// Which part of which log.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Which attempt, from 1; the last when it is left out.
    #[param(minimum = 1)]
    attempt: Option<u32>,
    /// The first line, from 1; below 0 counts from the end.
    from_line: Option<i64>,
    /// Lines at most (1 to 5000).
    #[param(minimum = 1, maximum = 5000)]
    lines: Option<u32>,
    /// `json` for lines, `text` for every byte as it was printed (takes `Range`).
    #[param(pattern = "^(json|text)$")]
    format: Option<String>,
}

/// Reads the log of a stage.
#[utoipa::path(
    get, path = "/runs/{run}/stages/{stage}/log", tag = "logs",
    extensions(("x-access" = json!("viewer"))),
    params(
        ("run" = String, Path, description = "Its id, its number, or the beginning of its id"),
        ("stage" = String, Path, description = "Key or name of the stage"),
        LogQuery,
    ),
    responses(
        (status = 200, content((LogPage = "application/json"), (String = "text/plain"))),
        (status = 206, body = String, content_type = "text/plain", description = "The wanted range"),
    ),
)]
pub(super) async fn read_log(
    State(app): State<App>,
    visitor: Visitor,
    Path((run, stage)): Path<(String, String)>,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = StageLog::find(&app, &visitor, (&run, &stage)).await?;
    match query.format.as_deref() {
        None | Some("json") => Ok(Json(page(&app, &wanted, &query).await?).into_response()),
        Some("text") => {
            let attempt = wanted.attempt(query.attempt)?;
            let reader = wanted.open(&app, attempt).await?;
            download::respond(reader, &headers).await
        }
        Some(_) => Err(Problem::bad_request("`format` is `json` or `text`")),
    }
}

async fn page(app: &App, wanted: &StageLog, query: &LogQuery) -> Result<LogPage, Problem> {
    let attempt = wanted.attempt(query.attempt)?;
    let is_ended = wanted.is_ended(attempt);
    let none = LogPage { attempt, items: Vec::new(), next: None, lines: 0, is_complete: is_ended };
    let Some(reader) = wanted.open(app, attempt).await? else { return Ok(none) };
    let extent = reader.extent().await?;
    let is_complete = extent.is_complete || is_ended;
    let first = first_line(query.from_line.unwrap_or(1), extent.lines);
    let max =
        usize::try_from(query.lines.unwrap_or(LINES).clamp(1, LINES_MAX)).unwrap_or(usize::MAX);
    let mut place = reader.place_of_line(first).await?;
    let mut items = Vec::new();
    while items.len() < max && place.offset < extent.size_bytes {
        let (lines, end) = reader.next_lines(place, max - items.len(), !is_complete).await?;
        if lines.is_empty() {
            break;
        }
        items.extend(lines.into_iter().map(Into::into));
        place = end;
    }
    let has_more = place.offset < extent.size_bytes && items.len() >= max;
    let next = has_more.then(|| (place.line + 1).to_string());
    Ok(LogPage { attempt, items, next, lines: extent.lines, is_complete })
}

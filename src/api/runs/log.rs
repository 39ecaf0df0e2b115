//! What stages have printed, and what they print.

mod body;
mod read_log;
mod download;
mod search_log;
mod stream_log;

use axum::http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{App, Problem};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(read_log::read_log))
        .routes(routes!(search_log::search_log))
        .routes(routes!(stream_log::stream_log))
}

/// `attempt:offset`, the id of an event of a log.
fn place_of(headers: &HeaderMap) -> Result<Option<(u32, u64)>, Problem> {
    let Some(id) = crate::http::last_event_id(headers) else { return Ok(None) };
    let place = id
        .split_once(':')
        .and_then(|(attempt, offset)| Some((attempt.parse().ok()?, offset.parse().ok()?)));
    let bad = || Problem::bad_request("`Last-Event-ID` is `<attempt>:<offset>`");
    place.map(Some).ok_or_else(bad)
}

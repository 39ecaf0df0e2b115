//! What has happened to a run, and what happens.

mod list_events;
mod stream_events;

use axum::http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{App, Problem, last_event_id};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_events::list_events))
        .routes(routes!(stream_events::stream_events))
}

/// Which events.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct AfterQuery {
    /// Only events behind the one with this sequence number.
    #[param(minimum = -1)]
    after: Option<i64>,
}

/// The sequence number to begin with: behind what the client has seen.
fn first(query: &AfterQuery, headers: &HeaderMap) -> Result<i64, Problem> {
    let seen = match last_event_id(headers) {
        Some(id) => Some(id.parse().map_err(|_| bad_id())?),
        None => query.after,
    };
    Ok(seen.map_or(0, |it: i64| it.saturating_add(1)).max(0))
}

fn bad_id() -> Problem {
    Problem::bad_request("`Last-Event-ID` is the sequence number of an event")
}

//! `GET /api/v1/runs/{run}/stages/{stage}/log/search`: the lines of a log that have a text.

use axum::extract::State;

use crate::desk::logs::{self, SearchHit, SearchQuery, SearchResult, StageLog};
use crate::http::{App, Json, Path, Problem, Query, Visitor};

/// What to look for, and where.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogSearchQuery {
    /// Text of one line; case does not matter, and neither do colours.
    #[param(min_length = 1, max_length = 200)]
    q: String,
    /// Which attempt, from 1; the last when it is left out.
    #[param(minimum = 1)]
    attempt: Option<u32>,
    /// The first line to look at, from 1; below 0 counts from the end.
    from_line: Option<i64>,
    /// Lines to give at most (1 to 1000).
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Lines that have the text.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct LogSearchPage {
    /// The attempt they are of; 0 when the stage has not started.
    attempt: u32,
    /// The lines.
    items: Vec<LogHitBody>,
    /// How many such lines there are from `from_line` on, in what was looked at.
    count: u64,
    /// Whether all was looked at up to the end of what there is now.
    is_whole: bool,
    /// The line to go on with (`from_line`); absent when all such lines were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A line that has the text.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct LogHitBody {
    /// Counts the lines of the attempt from 1.
    line: u64,
    /// The step that printed it, from 0; null for what comes before the first.
    step: Option<u32>,
    /// What stands before the text, or the end of that.
    before: String,
    /// The text as it stands there.
    text: String,
    /// What stands behind it, or the beginning of that.
    behind: String,
}

/// Looks for text in the log of a stage.
#[utoipa::path(
    get, path = "/runs/{run}/stages/{stage}/log/search", tag = "logs",
    extensions(("x-access" = json!("viewer"))),
    params(
        ("run" = String, Path, description = "Its id, its number, or the beginning of its id"),
        ("stage" = String, Path, description = "Key or name of the stage"),
        LogSearchQuery,
    ),
    responses((status = 200, body = LogSearchPage)),
)]
pub(super) async fn search_log(
    State(app): State<App>,
    visitor: Visitor,
    Path((run, stage)): Path<(String, String)>,
    Query(query): Query<LogSearchQuery>,
) -> Result<Json<LogSearchPage>, Problem> {
    let log = StageLog::find(&app, &visitor, (&run, &stage)).await?;
    let query = SearchQuery {
        text: query.q,
        attempt: query.attempt,
        from_line: query.from_line,
        matches: query.limit,
    };
    let found = logs::search(&app, &log, &query).await?;
    Ok(Json(found.into()))
}

impl From<SearchResult> for LogSearchPage {
    fn from(found: SearchResult) -> Self {
        Self {
            attempt: found.outline.attempt,
            items: found.hits.into_iter().map(Into::into).collect(),
            count: found.count,
            is_whole: found.is_whole,
            next: found.next.map(|it| it.to_string()),
        }
    }
}

impl From<SearchHit> for LogHitBody {
    fn from(hit: SearchHit) -> Self {
        Self {
            line: hit.line,
            step: hit.step,
            before: hit.found.before,
            text: hit.found.text,
            behind: hit.found.behind,
        }
    }
}

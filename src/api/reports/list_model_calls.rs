//! `GET /api/v1/runs/{run}/model-calls`: what the stages of a run asked models, and what it cost.

use axum::extract::State;

use crate::desk::server::money::usd;
use crate::desk::server::spend;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Path, Problem, Query, Visitor};
use crate::model::Timestamp;
use crate::store::spend::calls::CallRow;

/// Digits of a moment in a cursor.
const DIGITS: usize = 13;

/// One attempt of a call.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct ModelCallBody {
    /// Id of the request, as its `x-request-id` said.
    request: String,
    /// The attempt, from 1; 0 for what a process may have spent that died before it could say.
    attempt: i64,
    /// When it began, in milliseconds since 1970-01-01 UTC.
    at: i64,
    /// Key of the stage.
    stage: String,
    /// What it was, such as `chat/completions`; `usage` for what an app has reported, which is no call.
    operation: String,
    /// Who served it.
    provider: String,
    /// The model that was asked for.
    model: String,
    /// `live`, `cache` or `cassette`.
    origin: String,
    /// The status of the answer; absent when none came.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<i64>,
    /// Counts by class.
    #[schema(value_type = Object)]
    usage: serde_json::Value,
    /// Dollars.
    cost_usd: String,
    /// Dollars that it would have cost.
    avoided_usd: String,
    /// Dollars that were reserved.
    reserved_usd: String,
    /// Dollars beyond that.
    overrun_usd: String,
    /// Id of the price that was taken, or empty.
    price: String,
    /// What was not as usual: words.
    flags: Vec<String>,
    /// Until the first piece of the answer; absent when none came.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_ms: Option<i64>,
    /// Until the end.
    total_ms: i64,
    /// What the app tells it apart by (`x-trunkline-tags`).
    tags: Vec<String>,
}

impl From<CallRow> for ModelCallBody {
    fn from(row: CallRow) -> Self {
        Self {
            request: row.request,
            attempt: row.attempt,
            at: row.at.0,
            stage: row.owner.stage,
            operation: row.operation,
            provider: row.provider,
            model: row.model,
            origin: row.origin,
            status: row.status,
            usage: serde_json::from_str(&row.usage).unwrap_or_default(),
            cost_usd: usd(row.cost),
            avoided_usd: usd(row.avoided),
            reserved_usd: usd(row.reserved),
            overrun_usd: usd(row.overrun),
            price: row.price,
            flags: row.flags.split_whitespace().map(str::to_owned).collect(),
            first_token_ms: row.first_token_ms,
            total_ms: row.total_ms,
            tags: row.tags.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

/// Lists the calls to models of a run, oldest first
#[utoipa::path(
    get, path = "/runs/{run}/model-calls", tag = "budgets",
    extensions(("x-access" = json!("viewer"))),
    params(
        ("run" = String, Path, description = "Its id, its number, or the beginning of its id"),
        PageQuery,
    ),
    responses((status = 200, body = Page<ModelCallBody>)),
)]
pub(super) async fn list_model_calls(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ModelCallBody>>, Problem> {
    let page = page.checked(CursorForm::Numbered(DIGITS, '-'))?;
    let after = page.cursor.as_deref().and_then(read_cursor).unwrap_or_default();
    let rows = spend::calls(&app, &visitor, &run, (after, page.limit() + 1)).await?;
    let page = Page::new(rows, page.limit(), cursor);
    let items = page.items.into_iter().map(ModelCallBody::from).collect();
    Ok(Json(Page { items, next: page.next }))
}

fn cursor(row: &CallRow) -> String {
    format!("{:0DIGITS$}-{}-{}", row.at.0, row.attempt, row.request)
}

fn read_cursor(cursor: &str) -> Option<(Timestamp, &str, i64)> {
    let (at, rest) = cursor.split_once('-')?;
    let (attempt, request) = rest.split_once('-')?;
    Some((Timestamp(at.parse().ok()?), request, attempt.parse().ok()?))
}

//! `GET /api/v1/traces`: calls to models, found by what happened in them.

use axum::extract::State;

use crate::desk::server::traces::{self, TraceQuery, TraceView};
use crate::http::{App, Json, Page, PageQuery, Problem, Query, Visitor};

/// Lists calls to models and first spans of apps, newest first, as far as you may know of them
///
/// Under load not every call is traced: what was spent says the ledger (`/spend`, `/runs/{run}/model-calls`).
#[utoipa::path(
    get, path = "/traces", tag = "budgets",
    extensions(("x-access" = json!("signed-in"))),
    params(TraceQuery, PageQuery),
    responses((status = 200, body = Page<TraceView>)),
)]
pub(super) async fn list_traces(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<TraceQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TraceView>>, Problem> {
    Ok(Json(traces::list(&app, &visitor, (query, page)).await?))
}

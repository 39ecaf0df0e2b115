//! `GET /api/v1/traces/{trace}`: what happened in a call to a model, or in all calls of a trace.

use axum::extract::State;

use crate::desk::server::traces::{self, TreeView};
use crate::http::{App, Json, Path, Problem, Visitor};

/// Shows a call to a model, or a trace, as a tree: spans of apps, attempts, cache, guardrails, tools, tokens, money and times
///
/// What was asked and answered is there only if the gateway keeps it, and for developers of the team.
#[utoipa::path(
    get, path = "/traces/{trace}", tag = "budgets",
    extensions(("x-access" = json!("viewer"))),
    params(
        ("trace" = String, Path, description = "Id of a request (`req_…`), of a trace (32 hexadecimal digits), or of a span of an app (`spn_…`)"),
    ),
    responses((status = 200, body = TreeView)),
)]
pub(super) async fn show_trace(
    State(app): State<App>,
    visitor: Visitor,
    Path(trace): Path<String>,
) -> Result<Json<TreeView>, Problem> {
    Ok(Json(traces::show(&app, &visitor, &trace).await?))
}

//! `GET /api/v1/runs/{run}/findings`: what scanners have found.

use axum::extract::State;

use crate::desk::reports;
use crate::http::{App, Json, Page, PageQuery, Path, Problem, Query, Visitor};
use crate::runs::view::FindingView;

/// Which of them.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FindingsQuery {
    /// Only this stage: its key or name.
    stage: Option<String>,
}

/// Lists what the SARIF reports of a run say: by stage, the try that counts first, the worst first.
#[utoipa::path(
    get, path = "/runs/{run}/findings", tag = "reports",
    extensions(("x-access" = json!("viewer"))),
    params(
        ("run" = String, Path, description = "Its id, its number, or the beginning of its id"),
        FindingsQuery, PageQuery,
    ),
    responses((status = 200, body = Page<FindingView>)),
)]
pub(super) async fn list_findings(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
    Query(query): Query<FindingsQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<FindingView>>, Problem> {
    let findings = reports::findings(&app, &visitor, &run, query.stage.as_deref()).await?;
    Ok(Json(super::in_order(findings, page)?))
}

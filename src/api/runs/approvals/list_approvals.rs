//! `GET /api/v1/approvals`: what waits for the caller, over all runs.

use axum::extract::State;

use crate::desk::approvals::{self, WaitingApproval};
use crate::http::{App, Json, Page, PageQuery, Problem, Query, Visitor};
use crate::runs::view::{ApprovalView, RunRowView};

/// A stage that waits for people.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct ApprovalBody {
    /// Its run.
    run: RunRowView,
    /// Key of the stage.
    stage: String,
    /// What it asks for.
    approval: ApprovalView,
    /// Who has approved so far.
    approvals: Vec<String>,
    /// Until when it waits, in milliseconds since 1970-01-01 UTC.
    until: Option<i64>,
}

/// Lists the stages that the caller may approve now, of the newest runs first.
#[utoipa::path(
    get, path = "/approvals", tag = "approvals",
    extensions(("x-access" = json!("signed-in"))),
    params(PageQuery),
    responses((status = 200, body = Page<ApprovalBody>)),
)]
pub(super) async fn list_approvals(
    State(app): State<App>,
    visitor: Visitor,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ApprovalBody>>, Problem> {
    let page = approvals::list(&app, &visitor, page).await?;
    let items = page.items.into_iter().map(ApprovalBody::from).collect();
    Ok(Json(Page { items, next: page.next }))
}

impl From<WaitingApproval> for ApprovalBody {
    fn from(it: WaitingApproval) -> Self {
        Self {
            run: RunRowView::of(&it.row, false),
            stage: it.stage,
            approval: it.approval,
            approvals: it.approvals,
            until: it.until.map(|it| it.0),
        }
    }
}

//! `GET /api/v1/approvals`: what waits for the caller, over all runs.

use axum::extract::State;

use crate::http::{App, Json, Page, PageQuery, Problem, Query, Visitor};
use crate::model::{Role, RunId, RunStatus, StageIndex};
use crate::runs::LoadedRun;
use crate::runs::view::{ApprovalView, RunRowView};
use crate::store::runs::RunFilter;

/// Unfinished runs that are looked through for a page.
const RUNS_MAX: u32 = 100;

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
    let teams = super::teams(&app, &visitor).await?;
    let limit = page.limit().min(RUNS_MAX);
    let filter = RunFilter {
        teams: visitor.0.teams_as(Role::Approver),
        statuses: vec![RunStatus::Waiting, RunStatus::Running],
        before: page.cursor.map(RunId),
        limit: limit + 1,
        ..RunFilter::default()
    };
    let rows = app.store.list_runs(&filter).await?;
    let page = Page::new(rows, limit, |it| it.id.0.clone());
    let mut items = Vec::new();
    for row in page.items {
        let loaded = app.runs.load(&row.id).await?;
        let waiting = loaded.waiting_for(&visitor.0.login, &teams, app.now());
        items.extend(waiting.into_iter().filter_map(|stage| body(&loaded, stage)));
    }
    Ok(Json(Page { items, next: page.next }))
}

fn body(loaded: &LoadedRun, index: StageIndex) -> Option<ApprovalBody> {
    let stage = loaded.run.stage(index)?;
    let planned = loaded.run.plan().stages.get(index.as_usize())?;
    Some(ApprovalBody {
        run: RunRowView::of(&loaded.row, false),
        stage: planned.key.clone(),
        approval: ApprovalView::of(&loaded.run, index, planned)?,
        approvals: stage.approvals.clone(),
        until: stage.waits_until.map(|it| it.0),
    })
}

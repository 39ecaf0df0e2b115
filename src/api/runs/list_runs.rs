//! `GET /api/v1/runs`: newest first, with filters that can be combined.

use axum::Json;
use axum::extract::{Query, State};

use super::body::RunBody;
use crate::http::{App, Page, PageQuery, Problem, Visitor};
use crate::model::{RunId, RunStatus};
use crate::store::runs::RunFilter;

/// Which runs.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RunsQuery {
    /// Only this project: `team/name`.
    project: Option<String>,
    /// Only this pipeline.
    pipeline: Option<String>,
    /// Only this branch.
    branch: Option<String>,
    /// Only this event.
    event: Option<String>,
    /// Only this commit.
    revision: Option<String>,
    /// Only these statuses, separated by commas.
    status: Option<String>,
}

/// Lists runs of the caller's teams.
#[utoipa::path(
    get, path = "/runs", tag = "runs",
    extensions(("x-access" = json!("signed-in"))),
    params(RunsQuery, PageQuery),
    responses((status = 200, body = Page<RunBody>)),
)]
pub(super) async fn list_runs(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<RunsQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<RunBody>>, Problem> {
    let filter = filter(&app, &visitor, query, &page).await?;
    let limit = page.limit();
    let rows = app.store.list_runs(&filter).await?;
    let page = Page::new(rows, limit, |it| it.id.0.clone());
    Ok(Json(Page { items: page.items.into_iter().map(RunBody::from).collect(), next: page.next }))
}

async fn filter(
    app: &App,
    visitor: &Visitor,
    query: RunsQuery,
    page: &PageQuery,
) -> Result<RunFilter, Problem> {
    let teams = (!visitor.0.may_own()).then(|| visitor.0.visible_teams());
    let project = match query.project.as_deref() {
        Some(slug) => Some(crate::api::projects::find(app, visitor, slug).await?.id),
        None => None,
    };
    Ok(RunFilter {
        project,
        teams,
        pipeline: query.pipeline,
        branch: query.branch,
        event: query.event,
        revision: query.revision,
        statuses: statuses(query.status.as_deref().unwrap_or_default())?,
        before: page.cursor.clone().map(RunId),
        limit: page.limit() + 1,
        ..RunFilter::default()
    })
}

fn statuses(words: &str) -> Result<Vec<RunStatus>, Problem> {
    let words = words.split(',').map(str::trim).filter(|it| !it.is_empty());
    let parsed = words.map(|word| {
        let unknown = || Problem::bad_request(format!("`{word}` is no status of a run"));
        RunStatus::parse(word).ok_or_else(unknown)
    });
    parsed.collect()
}

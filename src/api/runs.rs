//! Runs: lists, one run, its events and logs, and what may be done with it; what waits, and who drives.

mod body;
mod list_runs;
mod show_run;
mod cancel_run;
mod show_queue;
mod list_workers;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{App, Problem, Visitor};
use crate::model::{Role, RunId, TeamId};
use crate::runs::LoadedRun;
use crate::store::runs::RunRow;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_runs::list_runs))
        .routes(routes!(show_run::show_run))
        .routes(routes!(cancel_run::cancel_run))
        .routes(routes!(show_queue::show_queue))
        .routes(routes!(list_workers::list_workers))
}

/// A run that the caller may use for what takes `needed`.
async fn load(app: &App, visitor: &Visitor, id: &str, needed: Role) -> Result<LoadedRun, Problem> {
    let row = find(app, visitor, id, needed).await?;
    Ok(app.runs.load(&row.id).await?)
}

/// Its row. A run from a terminal belongs to nobody but the owners of the installation.
async fn find(app: &App, visitor: &Visitor, id: &str, needed: Role) -> Result<RunRow, Problem> {
    let not_found = || Problem::not_found("this run");
    let row = app.store.find_run(&RunId(id.to_lowercase())).await?.ok_or_else(not_found)?;
    let project = app.store.find_project(&row.project).await?;
    let team = project.map_or_else(|| TeamId(String::new()), |it| it.team);
    visitor.require(&team, needed, "this run")?;
    Ok(row)
}

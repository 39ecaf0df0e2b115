//! Runs: lists, one run, its events, logs and artifacts, and what may be done with it; what waits, who drives.

mod list_runs;
mod watch_runs;
mod show_run;
mod show_graph;
mod start_run;
mod cancel_run;
mod rerun_run;
mod approvals;
mod events;
mod log;
mod artifacts;
mod fleet;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{App, Problem, Visitor};
use crate::model::{Role, RunId, TeamId};
use crate::runs::LoadedRun;
use crate::store::runs::RunRow;

/// The longest text that a person may leave.
const TEXT_CHARS_MAX: usize = 10_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_runs::list_runs))
        .routes(routes!(watch_runs::watch_runs))
        .routes(routes!(show_run::show_run))
        .routes(routes!(show_graph::show_graph))
        .routes(routes!(start_run::start_run))
        .routes(routes!(cancel_run::cancel_run))
        .routes(routes!(rerun_run::rerun_run))
        .merge(approvals::routes())
        .merge(events::routes())
        .merge(log::routes())
        .merge(artifacts::routes())
        .merge(fleet::routes())
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

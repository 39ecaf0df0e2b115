//! The processes that drive runs, and what waits for them.

use std::collections::HashSet;

use crate::http::{App, Problem, Visitor};
use crate::model::{Role, RunStatus};
use crate::runs::News;
use crate::runs::queue::Queued;
use crate::store::fleet::workers::WorkerRow;
use crate::store::runs::RunFilter;

const UNFINISHED: [RunStatus; 4] =
    [RunStatus::Queued, RunStatus::Running, RunStatus::Waiting, RunStatus::Cancelling];

/// The workers by name, dead ones of the last week too.
pub async fn list_workers(app: &App, visitor: &Visitor) -> Result<Vec<WorkerRow>, Problem> {
    visitor.require_owner()?;
    Ok(app.store.list_workers().await?)
}

/// Runs of the caller's teams that wait, with their places and reasons.
pub async fn list_queue(app: &App, visitor: &Visitor) -> Result<Vec<Queued>, Problem> {
    let mut queue = app.runs.queue(app.now()).await?;
    if let Some(teams) = visitor.0.teams_as(Role::Viewer) {
        let filter = RunFilter {
            teams: Some(teams),
            statuses: UNFINISHED.to_vec(),
            limit: 1000,
            ..RunFilter::default()
        };
        let visible = app.store.list_runs(&filter).await?;
        let visible: HashSet<_> = visible.into_iter().map(|it| it.id).collect();
        queue.retain(|it| visible.contains(&it.row.id));
    }
    Ok(queue)
}

/// Lets a worker take nothing new, or take runs again.
pub async fn save_draining(
    app: &App,
    visitor: &Visitor,
    (name, draining): (&str, bool),
) -> Result<(), Problem> {
    visitor.require_owner()?;
    if !app.store.save_draining(name, draining).await? {
        return Err(Problem::not_found("this worker"));
    }
    app.runs.announce(News::Workers);
    Ok(())
}

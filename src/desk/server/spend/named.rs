//! What filters of spend name: a run by its number, a project by its name alone; and what there is not.

use crate::desk::{runs, teams};
use crate::http::{App, Problem, ProblemKind, Visitor};
use crate::model::Role;

/// What filters name, as the ledger calls it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// A project as `team/name`.
    pub project: String,
    /// The id of a run.
    pub run: String,
    /// What is named and is not there, as far as the caller may know: its kind and its name. The ledger may still have it.
    pub missing: Option<(&'static str, String)>,
}

/// Looks up what filters name; what is empty is no filter.
pub async fn find(
    app: &App,
    visitor: &Visitor,
    (team, project, run): (&str, &str, &str),
) -> Result<Named, Problem> {
    let mut named = Named { project: project.to_owned(), run: run.to_owned(), ..Named::default() };
    let own = teams::list(app, visitor, Role::Viewer).await?;
    if !team.is_empty() && !own.iter().any(|it| it.name == team) {
        named.missing = Some(("team", team.to_owned()));
    }
    if !project.is_empty() {
        let (of, name) = project.split_once('/').unwrap_or((team, project));
        let mut all = app.store.list_projects().await?;
        all.retain(|it| {
            let is_named = it.name == name && (of.is_empty() || it.team_name == of);
            is_named && own.iter().any(|team| team.id == it.team)
        });
        match all.as_slice() {
            [only] => named.project = format!("{}/{}", only.team_name, only.name),
            [] => {
                named.missing.get_or_insert(("project", project.to_owned()));
            }
            // Which of them is not said.
            _ => {}
        }
    }
    if !run.is_empty() {
        match runs::find(app, visitor, run, Role::Viewer).await {
            Ok(row) => named.run = row.id.0,
            Err(problem)
                if matches!(problem.kind(), ProblemKind::NotFound | ProblemKind::Forbidden) =>
            {
                named.missing.get_or_insert(("run", run.to_owned()));
            }
            Err(problem) => return Err(problem),
        }
    }
    Ok(named)
}

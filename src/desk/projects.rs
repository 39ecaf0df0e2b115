//! Projects, found by their names.

use crate::http::{App, Problem, Visitor};
use crate::model::Role;
use crate::store::access::projects::ProjectRow;

/// The project `team/name`, where the caller may know of it.
pub async fn find(app: &App, visitor: &Visitor, slug: &str) -> Result<ProjectRow, Problem> {
    let what = "this project";
    let (team, name) = slug.split_once('/').ok_or_else(|| Problem::not_found(what))?;
    let found = app.store.find_project_by_name(team, name).await?;
    let project = found.ok_or_else(|| Problem::not_found(what))?;
    visitor.require(&project.team, Role::Viewer, what)?;
    Ok(project)
}

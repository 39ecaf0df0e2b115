//! Teams, found by their names.

use crate::http::{App, Problem, Visitor};
use crate::model::Role;
use crate::store::access::teams::TeamRow;

/// The team of this name, for what takes `needed`.
pub async fn find(
    app: &App,
    visitor: &Visitor,
    name: &str,
    needed: Role,
) -> Result<TeamRow, Problem> {
    let what = "this team";
    let team = app.store.find_team(name).await?.ok_or_else(|| Problem::not_found(what))?;
    visitor.require(&team.id, needed, what)?;
    Ok(team)
}

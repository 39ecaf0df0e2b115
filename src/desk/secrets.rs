//! Secrets of teams and projects: they can be set, listed and removed, and never read.

use std::fmt;

use crate::desk::{projects, teams};
use crate::http::{App, CursorForm, Page, PageQuery, Problem, Visitor};
use crate::model::{ProjectId, Role, TeamId};
use crate::secrets::rules::Rules;
use crate::secrets::team::Author;
use crate::store::sealed::secrets::{SecretPlace, SecretRow};

/// A team, or one of its projects.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The team.
    pub team: TeamId,
    /// The project, or empty.
    pub project: ProjectId,
}

/// A secret to set.
pub struct NewSecret {
    /// Its name: letters, digits, `_`, `-`, `.` and `/`.
    pub name: String,
    /// The environment whose stages get it; empty for all.
    pub environment: String,
    /// Its value, which is never shown again.
    pub value: String,
    /// Who may read it.
    pub rules: Rules,
}

impl fmt::Debug for NewSecret {
    /// Never shows the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSecret").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The team of this name, where the caller may do in it what takes `needed`.
pub async fn of_team(
    app: &App,
    visitor: &Visitor,
    (name, needed): (&str, Role),
) -> Result<Holder, Problem> {
    let team = teams::find(app, visitor, name, needed).await?.id;
    Ok(Holder { team, project: ProjectId(String::new()) })
}

/// The project of this name.
pub async fn of_project(
    app: &App,
    visitor: &Visitor,
    ((team, name), needed): ((&str, &str), Role),
) -> Result<Holder, Problem> {
    let project = projects::find(app, visitor, &format!("{team}/{name}")).await?;
    visitor.require(&project.team, needed, "this project")?;
    Ok(Holder { team: project.team, project: project.id })
}

/// Names, rules and versions of the secrets of a holder.
pub async fn list(
    app: &App,
    holder: &Holder,
    query: PageQuery,
) -> Result<Page<SecretRow>, Problem> {
    let query = query.checked(CursorForm::Name)?;
    let rows = app.store.list_secrets(&holder.team, &holder.project).await?;
    Ok(Page::of_all(rows, &query, |it| format!("{}/{}", it.name, it.environment)))
}

/// Sets a secret; gives its version.
pub async fn save(
    app: &App,
    visitor: &Visitor,
    (holder, new): (Holder, NewSecret),
) -> Result<i64, Problem> {
    let author = Author { login: visitor.0.login.clone(), address: String::new() };
    let place = place(holder, (new.name, new.environment));
    Ok(app.secrets.save(place, (&new.value, &new.rules), &author).await?)
}

/// Removes a secret: no stage gets it any more.
pub async fn delete(
    app: &App,
    visitor: &Visitor,
    (holder, name, environment): (Holder, String, String),
) -> Result<(), Problem> {
    let author = Author { login: visitor.0.login.clone(), address: String::new() };
    let place = place(holder, (name, environment));
    let is_gone = app.secrets.delete(&place, &author).await?;
    is_gone.then_some(()).ok_or_else(|| Problem::not_found("this secret"))
}

fn place(holder: Holder, (name, environment): (String, String)) -> SecretPlace {
    SecretPlace { team: holder.team, project: holder.project, environment, name }
}

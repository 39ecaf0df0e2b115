//! Secrets of teams and projects: they can be set, listed and removed, and never read.

mod body;
mod list_secrets;
mod save_secret;
mod delete_secret;
mod show_keys;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{App, Problem, Visitor};
use crate::model::{ProjectId, Role, TeamId};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(
            list_secrets::list_team_secrets,
            save_secret::save_team_secret,
            delete_secret::delete_team_secret
        ))
        .routes(routes!(
            list_secrets::list_project_secrets,
            save_secret::save_project_secret,
            delete_secret::delete_project_secret
        ))
        .routes(routes!(show_keys::show_keys))
}

/// A team, or one of its projects.
struct Holder {
    team: TeamId,
    project: ProjectId,
}

/// The team of this name, where the caller may do in it what takes `needed`.
async fn team(
    app: &App,
    visitor: &Visitor,
    (name, needed): (&str, Role),
) -> Result<Holder, Problem> {
    let team = app.store.find_team(name).await?;
    let team = team.ok_or_else(|| Problem::not_found("this team"))?.id;
    visitor.require(&team, needed, "this team")?;
    Ok(Holder { team, project: ProjectId(String::new()) })
}

/// The project of this name.
async fn project(
    app: &App,
    visitor: &Visitor,
    ((team, name), needed): ((&str, &str), Role),
) -> Result<Holder, Problem> {
    let project = crate::desk::projects::find(app, visitor, &format!("{team}/{name}")).await?;
    visitor.require(&project.team, needed, "this project")?;
    Ok(Holder { team: project.team, project: project.id })
}

//! What admins set: of projects, and of teams.

mod new_team;
mod new_project;
mod general;
mod access;
mod secrets;
mod schedules;
mod webhooks;
mod delivery;
mod notifications;
mod subscription;
mod team;
mod keys;

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};

use super::place::{Place, tabs};
use crate::auth::Verdict;
use crate::desk::{projects, teams};
use crate::http::{App, Operation, Problem};
use crate::model::Role;
use crate::store::access::projects::ProjectRow;
use crate::store::access::teams::TeamRow;
use crate::ui::shell::Visit;

/// Between two looks of a live page at what changes with no run, such as what was sent.
const AGAIN: Duration = Duration::from_secs(3);

/// Names of a project in an address.
type Names = (String, String);

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/teams/new", get(new_team::show).post(new_team::send))
        .route("/projects/new", get(new_project::show).post(new_project::send))
        .route("/teams/{team}/settings", get(team::show).post(team::rename))
        .route("/teams/{team}/settings/members", post(team::save))
        .route("/teams/{team}/settings/members/{login}/remove", post(team::remove))
        .route(
            "/teams/{team}/settings/secrets",
            get(secrets::show_of_team).post(secrets::save_of_team),
        )
        .route("/teams/{team}/settings/secrets/remove", post(secrets::remove_of_team))
        .route("/teams/{team}/settings/keys", get(keys::show).post(keys::create))
        .route("/teams/{team}/settings/keys/{key}/rotate", post(keys::rotate))
        .route("/teams/{team}/settings/keys/{key}/revoke", post(keys::revoke))
        .nest("/projects/{team}/{name}/settings", of_projects())
        .nest("/live/projects/{team}/{name}/settings", live_of_projects())
}

fn of_projects() -> Router<App> {
    Router::new()
        .route("/", get(general::show).post(general::save))
        .route("/retention", post(general::save_retention))
        .route("/badge", post(general::save_badge))
        .route("/archive", post(general::archive))
        .route("/restore", post(general::restore))
        .route("/access", get(access::show).post(access::save))
        .route("/access/remove", post(access::remove))
        .route("/secrets", get(secrets::show_of_project).post(secrets::save_of_project))
        .route("/secrets/remove", post(secrets::remove_of_project))
        .route("/schedules", get(schedules::show))
        .route("/webhooks", get(webhooks::show))
        .route("/webhooks/secret", post(webhooks::rotate))
        .route("/webhooks/{delivery}", get(delivery::show))
        .route("/webhooks/{delivery}/replay", post(delivery::replay))
        .route("/notifications", get(notifications::show).post(notifications::create))
        .route("/notifications/{subscription}", get(subscription::show).post(subscription::change))
        .route("/notifications/{subscription}/test", post(subscription::test))
        .route("/notifications/{subscription}/secret", post(subscription::rotate))
        .route("/notifications/{subscription}/remove", post(subscription::remove))
}

fn live_of_projects() -> Router<App> {
    Router::new()
        .route("/schedules", get(schedules::watch))
        .route("/webhooks", get(webhooks::watch))
        .route("/webhooks/{delivery}", get(delivery::watch))
        .route("/notifications/{subscription}", get(subscription::watch))
}

const SETTINGS: &str = "/projects/{team}/{name}/settings";

/// Subscriptions write down themselves how they are made, changed and removed.
pub(in crate::ui) const OPERATIONS: &[Operation] = &[
    ("POST", "/teams/new", "create_team"),
    ("POST", "/projects/new", "create_project"),
    ("POST", "/teams/{team}/settings", "change_team"),
    ("POST", "/teams/{team}/settings/members", "save_member"),
    ("POST", "/teams/{team}/settings/members/{login}/remove", "delete_member"),
    ("POST", "/teams/{team}/settings/secrets", "save_team_secret"),
    ("POST", "/teams/{team}/settings/secrets/remove", "delete_team_secret"),
    ("POST", "/teams/{team}/settings/keys", "create_gateway_key"),
    ("POST", "/teams/{team}/settings/keys/{key}/rotate", "rotate_gateway_key"),
    ("POST", "/teams/{team}/settings/keys/{key}/revoke", "revoke_gateway_key"),
    ("POST", SETTINGS, "change_project"),
    ("POST", "/projects/{team}/{name}/settings/retention", "save_retention"),
    ("POST", "/projects/{team}/{name}/settings/badge", "save_badge_settings"),
    ("POST", "/projects/{team}/{name}/settings/archive", "archive_project"),
    ("POST", "/projects/{team}/{name}/settings/restore", "change_project"),
    ("POST", "/projects/{team}/{name}/settings/access", "set_credential"),
    ("POST", "/projects/{team}/{name}/settings/access/remove", "set_credential"),
    ("POST", "/projects/{team}/{name}/settings/secrets", "save_project_secret"),
    ("POST", "/projects/{team}/{name}/settings/secrets/remove", "delete_project_secret"),
    ("POST", "/projects/{team}/{name}/settings/webhooks/secret", "rotate_hook_secret"),
    ("POST", "/projects/{team}/{name}/settings/webhooks/{delivery}/replay", "replay_delivery"),
    (
        "POST",
        "/projects/{team}/{name}/settings/notifications/{subscription}/test",
        "try_subscription",
    ),
];

/// A project whose settings are looked at.
#[derive(Debug, Clone)]
struct OfProject {
    project: ProjectRow,
    place: Place,
}

impl OfProject {
    async fn find(
        app: &App,
        visit: &Visit,
        ((team, name), here): (&Names, &str),
    ) -> Result<Self, Problem> {
        let project = projects::find(app, &visit.visitor, &format!("{team}/{name}")).await?;
        let may_change = visit.visitor.0.judge(&project.team, Role::Admin) == Verdict::Allowed;
        let path = format!("/projects/{}", project.slug());
        let mut all = vec![("", "General")];
        all.extend(may_change.then_some(("/access", "Access")));
        all.extend([
            ("/secrets", "Secrets"),
            ("/schedules", "Schedules"),
            ("/webhooks", "Webhooks"),
            ("/notifications", "Notifications"),
        ]);
        let place = Place {
            title: "Settings".to_owned(),
            project: Some(project.clone()),
            crumbs: vec![
                (format!("/teams/{}", project.team_name), project.team_name.clone()),
                (path.clone(), project.name.clone()),
            ],
            tabs: tabs(&format!("{path}/settings"), &all, here),
            path: format!("{path}/settings"),
            may_change,
            problem: None,
        };
        Ok(Self { project, place })
    }

    /// For those who may change it.
    async fn find_to_change(
        app: &App,
        visit: &Visit,
        wanted: (&Names, &str),
    ) -> Result<Self, Problem> {
        let found = Self::find(app, visit, wanted).await?;
        visit.visitor.require(&found.project.team, Role::Admin, "this project")?;
        Ok(found)
    }
}

/// A team whose settings are looked at.
#[derive(Debug, Clone)]
struct OfTeam {
    team: TeamRow,
    place: Place,
}

impl OfTeam {
    async fn find(app: &App, visit: &Visit, (name, here): (&str, &str)) -> Result<Self, Problem> {
        let team = teams::find(app, &visit.visitor, name, Role::Viewer).await?;
        let path = format!("/teams/{}", team.name);
        let settings = format!("{path}/settings");
        let place = Place {
            title: format!("Settings of {}", team.title),
            project: None,
            crumbs: vec![(path, team.name.clone())],
            tabs: tabs(
                &settings,
                &[("", "Members"), ("/secrets", "Secrets"), ("/keys", "Keys")],
                here,
            ),
            path: settings,
            may_change: visit.visitor.0.judge(&team.id, Role::Admin) == Verdict::Allowed,
            problem: None,
        };
        Ok(Self { team, place })
    }
}

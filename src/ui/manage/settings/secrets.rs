//! `…/settings/secrets` of a team or a project: set, listed and removed, and never read.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::{Names, OfProject, OfTeam};
use crate::desk::secrets::{self, Holder, NewSecret};
use crate::http::{App, PageQuery, Path, Problem, Query, Visitor};
use crate::model::{ProjectId, Role};
use crate::secrets::rules::Rules;
use crate::store::sealed::secrets::SecretRow;
use crate::ui::form::{Posted, Sent, encoded, lines, listed, onward, settle};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

/// What may start a run, as rules name it.
const EVENTS: [&str; 5] = ["push", "pull_request", "tag", "schedule", "manual"];

#[derive(Template)]
#[template(path = "settings/secrets.html")]
struct SecretsPage {
    shell: Shell,
    words: Words,
    place: Place,
    /// Where the secrets of the team are, which count too.
    beside: Option<String>,
    secrets: Vec<SeenSecret>,
    next: Option<String>,
    form: SecretForm,
}

impl SecretsPage {
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn events(&self) -> [&'static str; 5] {
        EVENTS
    }
}

/// A secret without its value.
struct SeenSecret {
    row: SecretRow,
    rules: Rules,
}

impl SeenSecret {
    /// What says which one to replace.
    fn query(&self) -> String {
        format!("name={}&environment={}", encoded(&self.row.name), encoded(&self.row.environment))
    }
}

/// A secret to set. It has no `Debug`: it knows the value.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct SecretForm {
    name: String,
    environment: String,
    value: String,
    events: Vec<String>,
    branches: String,
    images: String,
}

impl SecretForm {
    fn has(&self, event: &str) -> bool {
        self.events.iter().any(|it| it == event)
    }

    fn has_rules(&self) -> bool {
        !(self.events.is_empty() && self.branches.is_empty() && self.images.is_empty())
    }

    fn of(seen: &SeenSecret) -> Self {
        Self {
            name: seen.row.name.clone(),
            environment: seen.row.environment.clone(),
            value: String::new(),
            events: seen.rules.events.clone(),
            branches: seen.rules.branches.join("\n"),
            images: seen.rules.images.join("\n"),
        }
    }
}

/// Which secret.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct SecretName {
    name: String,
    environment: String,
}

/// A secret to remove.
#[derive(Debug, serde::Deserialize)]
pub(super) struct RemoveForm {
    secret: String,
    #[serde(default)]
    environment: String,
}

/// Whose secrets a page shows.
struct Scene {
    place: Place,
    holder: Holder,
    beside: Option<String>,
}

impl Scene {
    async fn of_project(app: &App, visit: &Visit, names: &Names) -> Result<Self, Problem> {
        let OfProject { project, place } = OfProject::find(app, visit, (names, "/secrets")).await?;
        let beside = Some(format!("/teams/{}/settings/secrets", project.team_name));
        let holder = Holder { team: project.team, project: project.id };
        Ok(Self { place, holder, beside })
    }

    async fn of_team(app: &App, visit: &Visit, name: &str) -> Result<Self, Problem> {
        let OfTeam { team, place } = OfTeam::find(app, visit, (name, "/secrets")).await?;
        let holder = Holder { team: team.id, project: ProjectId(String::new()) };
        Ok(Self { place, holder, beside: None })
    }

    /// The form once more. The value has to be typed again: no page ever has it.
    async fn again(
        mut self,
        app: &App,
        visit: &Visit,
        (mut form, problem): (SecretForm, String),
    ) -> Result<SecretsPage, Problem> {
        self.place.problem = Some(problem + " The value has to be typed again.");
        form.value.clear();
        self.page(app, visit, (form, PageQuery::default())).await
    }

    async fn page(
        self,
        app: &App,
        visit: &Visit,
        (form, query): (SecretForm, PageQuery),
    ) -> Result<SecretsPage, Problem> {
        let found = secrets::list(app, &self.holder, query).await?;
        let seen = |row: SecretRow| SeenSecret {
            rules: serde_json::from_str(&row.rules).unwrap_or_default(),
            row,
        };
        Ok(SecretsPage {
            shell: self.place.shell(visit, Section::Home),
            words: visit.words(),
            place: self.place,
            beside: self.beside,
            secrets: found.items.into_iter().map(seen).collect(),
            next: found.next,
            form,
        })
    }
}

pub(super) async fn show_of_project(
    State(app): State<App>,
    visit: Visit,
    Path(names): Path<Names>,
    Query(query): Query<PageQuery>,
    Query(wanted): Query<SecretName>,
) -> Result<Response, Problem> {
    let scene = Scene::of_project(&app, &visit, &names).await?;
    show(&app, &visit, (scene, query, &wanted)).await
}

pub(super) async fn show_of_team(
    State(app): State<App>,
    visit: Visit,
    Path(team): Path<String>,
    Query(query): Query<PageQuery>,
    Query(wanted): Query<SecretName>,
) -> Result<Response, Problem> {
    let scene = Scene::of_team(&app, &visit, &team).await?;
    show(&app, &visit, (scene, query, &wanted)).await
}

/// The list, and the form with what is known of the secret to replace.
async fn show(
    app: &App,
    visit: &Visit,
    (scene, query, wanted): (Scene, PageQuery, &SecretName),
) -> Result<Response, Problem> {
    let mut shown = scene.page(app, visit, (SecretForm::default(), query)).await?;
    let is_it =
        |it: &&SeenSecret| it.row.name == wanted.name && it.row.environment == wanted.environment;
    if let Some(seen) = shown.secrets.iter().find(is_it) {
        shown.form = SecretForm::of(seen);
    }
    page(&shown)
}

pub(super) async fn save_of_project(
    State(app): State<App>,
    Path(names): Path<Names>,
    Sent(visit, form): Sent<SecretForm>,
) -> Result<Response, Problem> {
    let named = (names.0.as_str(), names.1.as_str());
    let holder = secrets::of_project(&app, &visit.visitor, (named, Role::Admin)).await?;
    let saved = set(&app, &visit.visitor, (holder, &form)).await;
    let path = format!("/projects/{}/{}/settings/secrets?done=saved", names.0, names.1);
    settle(saved.map(|()| path), |problem| async move {
        let scene = Scene::of_project(&app, &visit, &names).await?;
        scene.again(&app, &visit, (form, problem)).await
    })
    .await
}

pub(super) async fn save_of_team(
    State(app): State<App>,
    Path(team): Path<String>,
    Sent(visit, form): Sent<SecretForm>,
) -> Result<Response, Problem> {
    let holder = secrets::of_team(&app, &visit.visitor, (&team, Role::Admin)).await?;
    let saved = set(&app, &visit.visitor, (holder, &form)).await;
    let path = format!("/teams/{team}/settings/secrets?done=saved");
    settle(saved.map(|()| path), |problem| async move {
        let scene = Scene::of_team(&app, &visit, &team).await?;
        scene.again(&app, &visit, (form, problem)).await
    })
    .await
}

async fn set(
    app: &App,
    visitor: &Visitor,
    (holder, form): (Holder, &SecretForm),
) -> Result<(), Problem> {
    let rules = Rules {
        events: form.events.clone(),
        branches: listed(&form.branches),
        images: listed(&form.images),
    };
    let new = NewSecret {
        name: form.name.trim().to_owned(),
        environment: form.environment.trim().to_owned(),
        value: lines(&form.value),
        rules,
    };
    secrets::save(app, visitor, (holder, new)).await?;
    Ok(())
}

pub(super) async fn remove_of_project(
    State(app): State<App>,
    Path((team, name)): Path<Names>,
    Posted(visitor, form): Posted<RemoveForm>,
) -> Result<Response, Problem> {
    let named = (team.as_str(), name.as_str());
    let holder = secrets::of_project(&app, &visitor, (named, Role::Admin)).await?;
    secrets::delete(&app, &visitor, (holder, form.secret, form.environment)).await?;
    Ok(onward(&format!("/projects/{team}/{name}/settings/secrets?done=removed")))
}

pub(super) async fn remove_of_team(
    State(app): State<App>,
    Path(team): Path<String>,
    Posted(visitor, form): Posted<RemoveForm>,
) -> Result<Response, Problem> {
    let holder = secrets::of_team(&app, &visitor, (&team, Role::Admin)).await?;
    secrets::delete(&app, &visitor, (holder, form.secret, form.environment)).await?;
    Ok(onward(&format!("/teams/{team}/settings/secrets?done=removed")))
}

//! `/projects/new`: a repository that is built from now on.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use crate::desk::projects::{self, NewProject};
use crate::desk::teams;
use crate::http::{App, Problem, ProblemKind, Query, Subject};
use crate::model::{ForgeKind, Role};
use crate::store::access::teams::TeamRow;
use crate::ui::form::{Sent, again, mistake, number, onward};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};

/// How often the remote is asked, unless its admin says otherwise: so a first run needs no webhook.
const POLL_SECONDS: &str = "60";

#[derive(Template)]
#[template(path = "settings/new_project.html")]
struct NewProjectPage {
    shell: Shell,
    place: Place,
    form: NewProjectForm,
    /// Those that the one who looks may make projects in.
    teams: Vec<TeamRow>,
}

impl NewProjectPage {
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn forges(&self) -> [ForgeKind; 4] {
        ForgeKind::ALL
    }
}

/// What its maker says of it.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct NewProjectForm {
    team: String,
    name: String,
    address: String,
    forge: String,
    forge_url: String,
    forge_path: String,
    default_branch: String,
    poll_seconds: String,
}

/// In which team.
#[derive(Debug, serde::Deserialize)]
pub(super) struct NewProjectQuery {
    #[serde(default)]
    team: String,
}

async fn new_page(
    app: &App,
    visit: &Visit,
    (form, problem): (NewProjectForm, Option<String>),
) -> Result<NewProjectPage, Problem> {
    let teams = teams::list(app, &visit.visitor, Role::Admin).await?;
    if teams.is_empty() && !visit.visitor.0.may_own() {
        let title = "this takes the role `admin` in a team";
        let help = "Ask an admin of your team to make the project, or to make you one.";
        return Err(Problem::new(ProblemKind::Forbidden, title).with_help(help));
    }
    let title = "New project".to_owned();
    let place = Place { title, problem, may_change: true, ..Place::default() };
    let mut shell = place.shell(visit, Section::Home);
    "/projects/new".clone_into(&mut shell.here);
    Ok(NewProjectPage { shell, place, form, teams })
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<NewProjectQuery>,
) -> Result<Response, Problem> {
    let form = NewProjectForm {
        team: query.team,
        forge: ForgeKind::Github.to_string(),
        default_branch: "main".to_owned(),
        poll_seconds: POLL_SECONDS.to_owned(),
        ..NewProjectForm::default()
    };
    page(&new_page(&app, &visit, (form, None)).await?)
}

fn wanted(form: &NewProjectForm) -> Result<NewProject, Problem> {
    let trimmed = |it: &str| it.trim().to_owned();
    let branch = trimmed(&form.default_branch);
    Ok(NewProject {
        team: form.team.clone(),
        name: trimmed(&form.name),
        address: trimmed(&form.address),
        forge: form.forge.clone(),
        forge_url: trimmed(&form.forge_url),
        forge_path: trimmed(&form.forge_path),
        default_branch: if branch.is_empty() { "main".to_owned() } else { branch },
        priority: 0,
        poll_seconds: number(&form.poll_seconds, "the time between two looks")?.unwrap_or(0),
    })
}

pub(super) async fn send(
    State(app): State<App>,
    Sent(visit, form): Sent<NewProjectForm>,
) -> Result<Response, Problem> {
    let made = match wanted(&form) {
        Ok(wanted) => projects::create(&app, &visit.visitor, wanted).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(project) => {
            let slug = project.slug();
            let to = onward(&format!("/projects/{slug}/settings/webhooks?done=created"));
            Ok((axum::Extension(Subject(slug)), to).into_response())
        }
        Err(problem) => {
            let problem = mistake(problem)?;
            again(&new_page(&app, &visit, (form, Some(problem))).await?)
        }
    }
}

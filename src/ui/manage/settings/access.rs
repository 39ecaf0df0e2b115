//! `/projects/{team}/{name}/settings/access`: what the remote and the forge want to see. Never shown.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::{Names, OfProject};
use crate::desk::projects::{self, settings};
use crate::http::{App, Path, Problem};
use crate::model::ForgeKind;
use crate::projects::StoredCredential;
use crate::store::access::projects::ProjectRow;
use crate::ui::form::{Posted, Sent, lines, onward, settle};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};

#[derive(Template)]
#[template(path = "settings/access.html")]
struct AccessPage {
    shell: Shell,
    place: Place,
    project: ProjectRow,
    has_credential: bool,
    user: String,
}

impl AccessPage {
    /// What a token of the forge must be good for.
    fn needed(&self) -> &'static str {
        match self.project.forge {
            ForgeKind::Github => {
                "A fine-grained token with contents (read), commit statuses (write) and pull requests (write)."
            }
            ForgeKind::Gitlab => "A project access token with the scopes api and read_repository.",
            ForgeKind::Gitea => {
                "An access token with read access to the repository and write access to issues."
            }
            ForgeKind::Git => "A token or password that may read the repository.",
        }
    }
}

/// A credential. Nothing of it but the login is shown again.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct AccessForm {
    user: String,
    token: String,
    ssh_key: String,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct NoForm {}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(names): Path<Names>,
) -> Result<Response, Problem> {
    let found = OfProject::find_to_change(&app, &visit, (&names, "/access")).await?;
    page(&new_page(&app, &visit, (found, String::new())).await?)
}

async fn new_page(
    app: &App,
    visit: &Visit,
    (found, user): (OfProject, String),
) -> Result<AccessPage, Problem> {
    let OfProject { project, place } = found;
    let has_credential = settings::has_credential(app, &project).await?;
    Ok(AccessPage {
        shell: place.shell(visit, Section::Home),
        place,
        project,
        has_credential,
        user,
    })
}

fn credential(form: &AccessForm) -> Result<StoredCredential, Problem> {
    let (token, key) = (form.token.trim(), lines(form.ssh_key.trim()));
    if token.is_empty() && key.is_empty() {
        let title = "there is neither a token nor a key";
        return Err(Problem::bad_request(title).with_help("What was set before stays."));
    }
    Ok(StoredCredential {
        user: form.user.trim().to_owned(),
        forge_token: Some(token.to_owned()).filter(|it| !it.is_empty()),
        // A key without its last end of line is none to OpenSSH.
        ssh_key: Some(format!("{key}\n")).filter(|_| !key.is_empty()),
    })
}

pub(super) async fn save(
    State(app): State<App>,
    Path(names): Path<Names>,
    Sent(visit, form): Sent<AccessForm>,
) -> Result<Response, Problem> {
    let mut found = OfProject::find_to_change(&app, &visit, (&names, "/access")).await?;
    let saved = match credential(&form) {
        Ok(credential) => settings::set_credential(&app, &found.project, &credential).await,
        Err(problem) => Err(problem),
    };
    let done = saved.map(|()| format!("{}/access?done=saved", found.place.path));
    settle(done, |problem| async move {
        found.place.problem = Some(problem);
        new_page(&app, &visit, (found, form.user)).await
    })
    .await
}

pub(super) async fn remove(
    State(app): State<App>,
    Path((team, name)): Path<Names>,
    Posted(visitor, _): Posted<NoForm>,
) -> Result<Response, Problem> {
    let slug = format!("{team}/{name}");
    let project = projects::find_to_change(&app, &visitor, &slug).await?;
    settings::set_credential(&app, &project, &StoredCredential::default()).await?;
    Ok(onward(&format!("/projects/{}/settings/access?done=removed", project.slug())))
}

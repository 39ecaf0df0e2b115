//! `/teams/{team}/settings/keys`: the keys of a team's apps, made and rotated, shown once, and revoked.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use super::OfTeam;
use crate::desk::server::app_keys::{self, KeyState, MadeKey, OVERLAP_HOURS, WantedKey};
use crate::http::{App, Path, Problem, Subject, once_of_form};
use crate::model::{Role, Timestamp};
use crate::store::access::gateway_keys::GatewayKeyRow;
use crate::ui::form::{Posted, Sent, again, mistake, number, onward};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

/// Keys that are shown, those that work before others.
const SHOWN_MAX: usize = 200;

#[derive(Template)]
#[template(path = "settings/keys.html")]
struct KeysPage {
    shell: Shell,
    words: Words,
    place: Place,
    team: String,
    keys: Vec<(GatewayKeyRow, KeyState)>,
    hidden: usize,
    form: KeyForm,
    /// The key that was just made: this page is the only one that has it.
    made: Option<MadeKey>,
    /// Until when the one works that it has replaced.
    until: Option<Timestamp>,
}

impl KeysPage {
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn overlap(&self) -> u32 {
        OVERLAP_HOURS
    }

    /// What a key is for: its project and its endpoint.
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn parts(&self, row: &GatewayKeyRow) -> String {
        let parts = row.subject.iter().filter(|it| it.0 != "team");
        let parts: Vec<_> = parts.map(|(kind, name)| format!("{kind} {name}")).collect();
        if parts.is_empty() { "the whole team".to_owned() } else { parts.join(", ") }
    }
}

/// A key to make.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct KeyForm {
    name: String,
    project: String,
    endpoint: String,
    models: String,
    per_minute: String,
    days: String,
    once: String,
}

impl KeyForm {
    fn wanted(&self) -> Result<WantedKey, Problem> {
        let some = |it: &str| Some(it.trim().to_owned()).filter(|it| !it.is_empty());
        Ok(WantedKey {
            name: self.name.trim().to_owned(),
            project: some(&self.project),
            endpoint: some(&self.endpoint),
            models: models(&self.models),
            per_minute: number(&self.per_minute, "the number of calls a minute")?,
            days: number(&self.days, "the number of days")?,
        })
    }
}

/// Names that stand on lines, or between commas.
fn models(text: &str) -> Vec<String> {
    let names = text.split(['\n', ',']).map(str::trim).filter(|it| !it.is_empty());
    names.map(str::to_owned).collect()
}

/// For how long a key still works that is replaced.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct RotateForm {
    hours: String,
    once: String,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct NoForm {}

async fn new_page(
    app: &App,
    visit: &Visit,
    (found, form): (OfTeam, KeyForm),
) -> Result<KeysPage, Problem> {
    let OfTeam { team, place } = found;
    let rows = app_keys::list(app, &visit.visitor, &team.name).await?;
    let now = app.now();
    let mut keys: Vec<_> = rows
        .into_iter()
        .map(|it| (KeyState::of(&it, now), it))
        .map(|(state, it)| (it, state))
        .collect();
    keys.sort_by_key(|it| !matches!(it.1, KeyState::Valid | KeyState::Replaced));
    let hidden = keys.len().saturating_sub(SHOWN_MAX);
    keys.truncate(SHOWN_MAX);
    Ok(KeysPage {
        shell: place.shell(visit, Section::Home),
        words: visit.words(),
        place,
        team: team.name,
        keys,
        hidden,
        form,
        made: None,
        until: None,
    })
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(team): Path<String>,
) -> Result<Response, Problem> {
    let found = OfTeam::find(&app, &visit, (&team, "/keys")).await?;
    page(&new_page(&app, &visit, (found, KeyForm::default())).await?)
}

/// Answers with the key: it must be in no address, and is never shown again.
pub(super) async fn create(
    State(app): State<App>,
    Path(team): Path<String>,
    Sent(visit, form): Sent<KeyForm>,
) -> Result<Response, Problem> {
    let mut found = OfTeam::find(&app, &visit, (&team, "/keys")).await?;
    visit.visitor.require(&found.team.id, Role::Admin, "this team")?;
    let made = match form.wanted() {
        Ok(wanted) => {
            let work = app_keys::create(&app, &visit.visitor, (&team, wanted));
            once_of_form(&app, (&visit.visitor, &form.once), work).await
        }
        Err(problem) => Err(problem),
    };
    match made {
        Ok(made) => once(&app, &visit, (found, made, None)).await,
        Err(problem) => {
            found.place.problem = Some(mistake(problem)?);
            again(&new_page(&app, &visit, (found, form)).await?)
        }
    }
}

pub(super) async fn rotate(
    State(app): State<App>,
    Path((team, key)): Path<(String, String)>,
    Sent(visit, form): Sent<RotateForm>,
) -> Result<Response, Problem> {
    let mut found = OfTeam::find(&app, &visit, (&team, "/keys")).await?;
    visit.visitor.require(&found.team.id, Role::Admin, "this team")?;
    let made = match number(&form.hours, "the number of hours") {
        Ok(hours) => {
            let hours = hours.unwrap_or(OVERLAP_HOURS);
            let work = app_keys::rotate(&app, &visit.visitor, ((&team, &key), hours));
            once_of_form(&app, (&visit.visitor, &form.once), work).await
        }
        Err(problem) => Err(problem),
    };
    match made {
        Ok((made, until)) => once(&app, &visit, (found, made, Some(until))).await,
        Err(problem) => {
            found.place.problem = Some(mistake(problem)?);
            again(&new_page(&app, &visit, (found, KeyForm::default())).await?)
        }
    }
}

/// The page with a key that was just made.
async fn once(
    app: &App,
    visit: &Visit,
    (found, made, until): (OfTeam, MadeKey, Option<Timestamp>),
) -> Result<Response, Problem> {
    let subject = axum::Extension(Subject(format!("{}/{}", found.team.name, made.row.name)));
    let shown = new_page(app, visit, (found, KeyForm::default())).await?;
    let answer = page(&KeysPage { made: Some(made), until, ..shown })?;
    Ok((subject, answer).into_response())
}

pub(super) async fn revoke(
    State(app): State<App>,
    Path((team, key)): Path<(String, String)>,
    Posted(visitor, _): Posted<NoForm>,
) -> Result<Response, Problem> {
    app_keys::revoke(&app, &visitor, (&team, &key)).await?;
    Ok(onward(&format!("/teams/{team}/settings/keys?done=revoked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_stand_on_lines_or_between_commas() {
        assert_eq!(models("m-cheap, m-dear"), ["m-cheap", "m-dear"]);
        assert_eq!(models("a\r\n\r\nclaude-*,\r\n"), ["a", "claude-*"]);
        assert_eq!(models("gpt 4"), ["gpt 4"], "which is refused");
        assert!(models(" \n").is_empty());
    }
}

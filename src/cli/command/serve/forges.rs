//! The repositories and forges of a server, and what they start.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::cli::keys;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::forge::GithubApp;
use crate::notifications::{Mailer, NotificationParts, Notifications};
use crate::outgoing::Outgoing;
use crate::projects::{AddressRule, ProjectParts, Projects};
use crate::triggers::{TriggerSettings, Triggers};

/// The repositories and forges of the server's projects.
pub(in crate::cli) fn projects(session: &Session, state: &State) -> anyhow::Result<Projects> {
    let settings = &session.settings.forges;
    let outgoing = Outgoing::new(settings.private_hosts.clone())?;
    let app = match &settings.github_app {
        Some((id, file)) => Some(github_app(id, file)?),
        None => None,
    };
    Ok(Projects::new(ProjectParts {
        store: state.store.clone(),
        sealer: keys::sealer(session, state)?,
        state_folder: state.folder.clone(),
        addresses: AddressRule::new(outgoing, settings.repositories.clone()),
        app,
        clock: Arc::clone(&session.clock),
    }))
}

fn github_app(id: &str, file: &Path) -> anyhow::Result<GithubApp> {
    let shown = file.display();
    let key = std::fs::read(file).with_context(|| format!("`{shown}` cannot be read"))?;
    GithubApp::new(id.to_owned(), &key)
        .with_context(|| format!("`{shown}` is no private RSA key in PEM form"))
}

/// What starts the server's runs.
pub(in crate::cli) fn triggers(session: &Session, state: &State, projects: Projects) -> Triggers {
    let public_url = session.settings.sign_in.public_url.clone();
    let settings = TriggerSettings { public_url, ..TriggerSettings::default() };
    Triggers::new(state.runs.clone(), projects, settings, Arc::clone(&session.clock))
}

/// What tells people and programs what became of the server's runs.
pub(super) fn notifications(session: &Session, state: &State) -> anyhow::Result<Notifications> {
    let settings = &session.settings;
    let mailer = settings.mail.as_ref().map(|it| Mailer::new(&it.url, &it.from)).transpose();
    Ok(Notifications::new(NotificationParts {
        store: state.store.clone(),
        sealer: keys::sealer(session, state)?,
        outgoing: Outgoing::new(settings.forges.private_hosts.clone())?,
        mailer: mailer.context("`TRUNKLINE_SMTP_URL` and `TRUNKLINE_MAIL_FROM`")?,
        clock: Arc::clone(&session.clock),
        public_url: settings.sign_in.public_url.clone(),
    }))
}

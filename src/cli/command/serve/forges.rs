//! The repositories and forges of a server, and what they start.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::cli::keys;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::forge::GithubApp;
use crate::outgoing::Outgoing;
use crate::projects::{AddressRule, ProjectParts, Projects};
use crate::triggers::{TriggerSettings, Triggers};

/// The repositories and forges of the server's projects.
pub(super) fn projects(session: &Session, state: &State) -> anyhow::Result<Projects> {
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
pub(super) fn triggers(session: &Session, state: &State, projects: Projects) -> Triggers {
    let public_url = session.settings.sign_in.public_url.clone();
    let settings = TriggerSettings { public_url, ..TriggerSettings::default() };
    Triggers::new(state.runs.clone(), projects, settings, Arc::clone(&session.clock))
}

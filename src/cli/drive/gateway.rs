//! The LLM gateway of a process that runs stages: which file it is set up from, and starting it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::DriveArgs;
use super::remembered::Remembered;
use crate::cli::failure::Usage;
use crate::cli::keys;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::gateway::ledger::Ledger;
use crate::gateway::ledger::stored::BookParts;
use crate::gateway::server;
use crate::gateway::server::queue::QueueParts;
use crate::gateway::server::set_up::{MissingKeys, Outside};
use crate::gateway::server::stages::{Place, Stages};
use crate::gateway::settings::{self, CassetteMode, Settings};
use crate::model::RunId;
use crate::outgoing::Outgoing;

/// The gateway's file in a repository, for runs from a terminal.
pub const FILE: &str = "trunkline.gateway.toml";

/// Where the file comes from.
#[derive(Debug)]
pub enum Origin<'a> {
    /// A person named it: it may name variables of the environment and files with keys.
    Named(PathBuf),
    /// It was found in the repository, whose authors are not to read what else is on this machine: the keys
    /// of providers are secrets that the run was given.
    Found(PathBuf, &'a BTreeMap<String, String>),
}

impl Origin<'_> {
    fn path(&self) -> &Path {
        let (Self::Named(path) | Self::Found(path, _)) = self;
        path
    }

    fn named(&self) -> Option<&Path> {
        match self {
            Self::Named(path) => Some(path),
            Self::Found(..) => None,
        }
    }
}

/// The file for runs from a terminal, if there is one.
pub fn origin<'a>(
    session: &Session,
    named: Option<&Path>,
    (repository, secrets): (&str, &'a BTreeMap<String, String>),
) -> Option<Origin<'a>> {
    let named = named.map(|it| session.folder.join(it));
    if let Some(path) = named.or_else(|| session.settings.gateway_file.clone()) {
        return Some(Origin::Named(path));
    }
    let found = Path::new(repository).join(FILE);
    found.exists().then_some(Origin::Found(found, secrets))
}

/// Starts the gateway of a run from a terminal, where there is a file for one: with what the run was started with, unless
/// something else is given.
pub async fn of_run(
    session: &Session,
    state: &State,
    (args, secrets): (&DriveArgs, &BTreeMap<String, String>),
    (run, repository): (&RunId, &str),
) -> anyhow::Result<Option<Arc<Stages>>> {
    let before = Remembered::of_run(state, run);
    let named = args.gateway.as_deref().or(before.gateway.as_deref());
    let origin = origin(session, named, (repository, secrets));
    let named = origin.as_ref().and_then(Origin::named).map(|it| session.folder.join(it));
    let remembered = before.with(session, args, named.as_deref());
    let gateway = match &origin {
        Some(origin) => {
            let owner = format!("run-{run}");
            let model_calls = remembered.model_calls;
            let set_up = SetUp { origin, model_calls, queue: QueuePart::None };
            Some(start(session, state, (set_up, &owner)).await?.0)
        }
        None => None,
    };
    remembered.keep(state, run)?;
    Ok(gateway)
}

/// What cassettes are for, as the command line says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ModelCalls {
    /// Nothing: every call goes out.
    Live,
    /// Every call goes out and is written into the working tree.
    Record,
    /// No call goes out.
    Replay,
    /// Calls that were not recorded go out and are.
    ReplayOrRecord,
}

impl ModelCalls {
    /// The word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Record => "record",
            Self::Replay => "replay",
            Self::ReplayOrRecord => "replay_or_record",
        }
    }
}

impl From<ModelCalls> for CassetteMode {
    fn from(mode: ModelCalls) -> Self {
        match mode {
            ModelCalls::Live => Self::Live,
            ModelCalls::Record => Self::Record,
            ModelCalls::Replay => Self::Replay,
            ModelCalls::ReplayOrRecord => Self::ReplayOrRecord,
        }
    }
}

/// What the gateway is set up from.
#[derive(Debug)]
pub struct SetUp<'a> {
    /// Its file.
    pub origin: &'a Origin<'a>,
    /// What cassettes are for, whatever the file says.
    pub model_calls: Option<ModelCalls>,
    /// Whether calls are made later here.
    pub queue: QueuePart,
}

/// A process's part in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueuePart {
    /// None: nobody is there later.
    None,
    /// That of a server or worker.
    OfServer,
}

/// Starts the gateway for the stages that this process runs. `owner` names its address.
pub async fn start(
    session: &Session,
    state: &State,
    (set_up, owner): (SetUp<'_>, &str),
) -> anyhow::Result<(Arc<Stages>, Settings)> {
    let origin = set_up.origin;
    let path = origin.path();
    let wrong = |why: String| {
        let message = format!("the gateway's file `{}` is wrong: {why}", path.display());
        Usage::new(message, "docs/gateway.md shows every setting")
    };
    let text = std::fs::read_to_string(path).map_err(|it| wrong(it.to_string()))?;
    let mut settings = settings::read(&text).map_err(wrong)?;
    // The lines of a ledger's file are for `trunkline gateway`: several processes run stages.
    settings.ledger = None;
    if let Some(mode) = set_up.model_calls {
        settings.stages.model_calls = mode.into();
    }
    if matches!(origin, Origin::Found(..)) {
        confine(&settings).map_err(wrong)?;
    }
    let variable = |name: &str| match origin {
        Origin::Named(_) => session.environment.get(name).map(str::to_owned),
        Origin::Found(_, secrets) => secrets.get(name).cloned(),
    };
    let queue = match (set_up.queue, &settings.queue) {
        (QueuePart::OfServer, Some(_)) => Some(QueueParts {
            store: state.store.clone(),
            sealer: keys::sealer(session, state)?,
            outgoing: Outgoing::new(session.settings.forges.private_hosts.clone())?,
        }),
        _ => None,
    };
    let books = BookParts {
        store: state.store.clone(),
        name: owner.to_owned(),
        clock: Arc::clone(&session.clock),
    };
    let ledger = Ledger::stored(books, settings.budgets.clone()).await?;
    let outside = Outside {
        variables: &variable,
        folder: path.parent().unwrap_or(&session.folder).to_owned(),
        clock: Arc::clone(&session.clock),
        store: Some(state.store.clone()),
        missing_keys: MissingKeys::Tell,
        ledger: Some(Arc::new(ledger)),
        queue,
    };
    let core = server::set_up::core(&settings, &outside).map_err(|it| wrong(it.to_string()))?;
    let place = Place { folder: state.folder.join("gateway"), owner: owner.to_owned() };
    let started = Stages::start(core, state.store.clone(), settings.stages.clone(), &place).await;
    Ok((started.context("the LLM gateway cannot listen for stages")?, settings))
}

/// A file that was found may only name files of its own repository.
fn confine(settings: &Settings) -> Result<(), String> {
    if let Some(provider) = settings.providers.iter().find(|it| !it.key_files.is_empty()) {
        return Err(format!(
            "the provider `{}` has `key_files`, and a file that is found in the repository may not: \
             use `key_variables` and give `--secret`, or name the file with `--gateway`",
            provider.name
        ));
    }
    let files = settings
        .prices
        .iter()
        .chain(&settings.public_prices)
        .chain(&settings.cassettes)
        .chain(&settings.stages.cassettes);
    let leads_out = |it: &&String| {
        let path = Path::new(it.as_str());
        path.is_absolute() || it.split('/').any(|part| part == "..")
    };
    match files.into_iter().find(leads_out) {
        Some(file) => Err(format!("`{file}` is outside of the repository")),
        None => Ok(()),
    }
}

/// Listens for apps where the file says so.
pub async fn listen_for_apps(gateway: &Stages, settings: &Settings) -> anyhow::Result<()> {
    let Some(address) = &settings.listen else { return Ok(()) };
    let listener = TcpListener::bind(address).await;
    gateway.listen(listener.with_context(|| format!("`{address}` cannot be listened on"))?);
    tracing::info!(%address, "the LLM gateway listens for apps");
    Ok(())
}

/// Ends it, where it was started.
pub async fn close(gateway: Option<&Arc<Stages>>) {
    if let Some(gateway) = gateway {
        gateway.close().await;
    }
}

//! The LLM gateway of a process that runs stages: which file it is set up from, and starting it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::args::{DriveArgs, ModelCalls};
use super::remembered::Remembered;
use crate::cli::failure::Usage;
use crate::cli::keys;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::gateway::ledger::Ledger;
use crate::gateway::ledger::stored::BookParts;
use crate::gateway::server::queue::QueueParts;
use crate::gateway::server::set_up::{MissingKeys, Outside};
use crate::gateway::server::stages::{Place, Stages};
use crate::gateway::server::{self, Core};
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

    /// What a variable is that the file names.
    fn variable(&self, session: &Session, name: &str) -> Option<String> {
        match self {
            Self::Named(_) => session.environment.get(name).map(str::to_owned),
            Self::Found(_, secrets) => secrets.get(name).cloned(),
        }
    }

    /// Whether a variable with a key is set.
    fn has(&self, session: &Session, name: &str) -> bool {
        self.variable(session, name).is_some_and(|it| !it.is_empty())
    }

    /// Says which keys of providers are missing that were there when the run was started: each call would be refused.
    /// None is needed where no call goes out.
    fn check_keys(
        &self,
        session: &Session,
        (settings, had): (&Settings, &[String]),
    ) -> Result<(), Usage> {
        let modes = [settings.cassette_mode, settings.stages.model_calls];
        if modes.contains(&CassetteMode::Replay) {
            return Ok(());
        }
        let mut missing = Vec::new();
        for provider in &settings.providers {
            let variables = &provider.key_variables;
            let has_one = variables.iter().any(|it| self.has(session, it));
            if provider.key_files.is_empty() && !has_one {
                let lost = variables.iter().filter(|it| had.contains(it));
                missing.extend(lost.map(|it| (it, &provider.name)));
            }
        }
        let Some((first, _)) = missing.first() else { return Ok(()) };
        let named = missing.iter().map(|(key, provider)| format!("`{key}` (for `{provider}`)"));
        let named = named.collect::<Vec<_>>().join(", ");
        let what = if missing.len() == 1 { "a key that is" } else { "keys that are" };
        let message =
            format!("the run was started with {what} missing now for the LLM gateway: {named}");
        let give = match self {
            Self::Named(_) => "set what is missing in the environment".to_owned(),
            Self::Found(..) => {
                format!("give what is missing: `--secret {first}` takes it from the environment")
            }
        };
        let replay = "; with `--model-calls replay` no call goes out, and none is needed";
        let replay = settings.stages.cassettes.as_ref().map_or("", |_| replay);
        Err(Usage::new(message, format!("{give}{replay}")))
    }

    /// The keys of providers that are there, by their variables.
    fn keys(&self, session: &Session, settings: &Settings) -> Vec<String> {
        let names = settings.providers.iter().flat_map(|it| &it.key_variables);
        names.filter(|it| self.has(session, it)).cloned().collect()
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
    let Some(origin) = &origin else {
        remembered.keep(state, run)?;
        return Ok(None);
    };
    let model_calls = remembered.model_calls;
    let set_up = SetUp { origin, model_calls, queue: QueuePart::None };
    let settings = read(&set_up)?;
    origin.check_keys(session, (&settings, &remembered.keys))?;
    let remembered = remembered.with_keys(origin.keys(session, &settings));
    let owner = format!("run-{run}");
    let gateway = start_with(session, state, (set_up, &settings, &owner)).await?;
    remembered.keep(state, run)?;
    Ok(Some(gateway))
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
    let settings = read(&set_up)?;
    let gateway = start_with(session, state, (set_up, &settings, owner)).await?;
    Ok((gateway, settings))
}

fn wrong(path: &Path, why: &str) -> Usage {
    let message = format!("the gateway's file `{}` is wrong: {why}", path.display());
    Usage::new(message, "docs/gateway.md shows every setting")
}

/// What the file says, and what else was said.
fn read(set_up: &SetUp<'_>) -> Result<Settings, Usage> {
    let path = set_up.origin.path();
    let text = std::fs::read_to_string(path).map_err(|it| wrong(path, &it.to_string()))?;
    let mut settings = settings::read(&text).map_err(|it| wrong(path, &it))?;
    // The lines of a ledger's file are for `trunkline gateway`: several processes run stages.
    settings.ledger = None;
    if let Some(mode) = set_up.model_calls {
        settings.stages.model_calls = mode.into();
    }
    if matches!(set_up.origin, Origin::Found(..)) {
        confine(&settings).map_err(|it| wrong(path, &it))?;
    }
    Ok(settings)
}

async fn start_with(
    session: &Session,
    state: &State,
    (set_up, settings, owner): (SetUp<'_>, &Settings, &str),
) -> anyhow::Result<Arc<Stages>> {
    let origin = set_up.origin;
    let path = origin.path();
    let variable = |name: &str| origin.variable(session, name);
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
    let core = server::set_up::core(settings, &outside);
    let core = core.map_err(|it| wrong(path, &it.to_string()))?;
    warn_of_missing_keys(&core, settings, origin);
    let place = Place { folder: state.folder.join("gateway"), owner: owner.to_owned() };
    let started = Stages::start(core, state.store.clone(), settings.stages.clone(), &place).await;
    started.context("the LLM gateway cannot listen for stages")
}

/// Says before the first call which keys of providers are not there. None is needed where no call goes out.
fn warn_of_missing_keys(core: &Core, settings: &Settings, origin: &Origin<'_>) {
    let stages_replay = settings.stages.model_calls == CassetteMode::Replay;
    let replays = stages_replay && settings.listen.is_none();
    if replays || settings.cassette_mode == CassetteMode::Replay {
        return;
    }
    let help = match origin {
        Origin::Named(_) => "set it in the environment",
        Origin::Found(..) => "give it with `--secret`",
    };
    for provider in &core.providers {
        let Some(variable) = &provider.missing_key else { continue };
        let provider = &provider.name;
        tracing::warn!(
            "the LLM gateway has no key for the provider `{provider}`: `{variable}` is not set, and its calls are \
             refused; {help}"
        );
    }
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

//! Which executor a run is driven with, and how it is reached.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::failure::Broken;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::config::{ExecutorKind, Settings};
use crate::executor::{DockerExecutor, DockerSettings, HostExecutor, HostSettings};
use crate::model::RunId;

/// Where Docker listens unless told otherwise.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// An executor, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// Containers.
    Docker,
    /// Processes of this machine, without isolation; images are ignored.
    Host,
}

impl From<Choice> for ExecutorKind {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Docker => Self::Docker,
            Choice::Host => Self::Host,
        }
    }
}

/// The executor of a run: what was asked for, else what the run was created with, else the default.
pub fn kind_for(
    session: &Session,
    state: &State,
    run: &RunId,
    choice: Option<Choice>,
) -> ExecutorKind {
    let stored = || match std::fs::read_to_string(note(state, run)).ok()?.trim() {
        "host" => Some(ExecutorKind::Host),
        _ => Some(ExecutorKind::Docker),
    };
    choice.map(ExecutorKind::from).or_else(stored).unwrap_or(session.settings.executor)
}

/// Remembers with which executor a run was created: its containers (or processes) can be adopted by
/// no other.
pub fn remember(state: &State, run: &RunId, kind: ExecutorKind) -> std::io::Result<()> {
    let note = note(state, run);
    if let Some(folder) = note.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let word = match kind {
        ExecutorKind::Docker => "docker",
        ExecutorKind::Host => "host",
    };
    std::fs::write(note, word)
}

/// Where that is written down.
pub fn note(state: &State, run: &RunId) -> PathBuf {
    state.folder.join("executors").join(run.to_string())
}

/// Path of the Docker daemon's socket.
pub fn socket(settings: &Settings) -> Result<String, Broken> {
    let Some(host) = &settings.docker_host else { return Ok(DEFAULT_SOCKET.to_owned()) };
    let is_other = host.contains("://") && !host.starts_with("unix://");
    if is_other {
        let message =
            format!("`DOCKER_HOST` is `{host}`, and only a socket of this machine can be used");
        let help = "containers share files with this machine: set it to `unix:///path` or unset it";
        return Err(Broken { message, help: help.to_owned() });
    }
    Ok(host.trim_start_matches("unix://").to_owned())
}

/// Connects to the Docker daemon.
pub async fn docker(session: &Session, state: &State) -> anyhow::Result<DockerExecutor> {
    let settings = DockerSettings {
        socket: Some(socket(&session.settings)?),
        registry_config: session.settings.docker_config.clone(),
        ..DockerSettings::new(state.folder.clone(), state.instance.clone())
    };
    DockerExecutor::connect(settings).await.map_err(|error| {
        let help = "`trunkline doctor` says what to do; \
                    `--executor host` runs stages without containers";
        Broken { message: error.to_string(), help: help.to_owned() }.into()
    })
}

/// Processes of this machine.
pub fn host(session: &Session, state: &State) -> anyhow::Result<HostExecutor> {
    let clock = Arc::clone(&session.clock);
    let settings = HostSettings {
        state_folder: state.folder.clone(),
        env: session.settings.host_env.clone(),
        now: Arc::new(move || clock.now()),
    };
    Ok(HostExecutor::new(settings)?)
}

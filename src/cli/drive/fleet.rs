//! What `serve` and `worker` share: their place among others, and the work itself.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::args::{DriveArgs, EngineArgs, Reuse};
use super::{executor, gateway, workers};
use crate::cli::access;
use crate::cli::failure::{Broken, Usage};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::config::{ExecutorKind, read_labels};
use crate::executor::{DockerExecutor, Executor, HostExecutor};
use crate::model::access::is_name;
use crate::projects::Projects;
use crate::secrets::SecretSource;
use crate::store::DatabaseKind;
use crate::worker::{Worker, WorkerPlace, WorkerSettings};

/// Where Linux keeps the name of the machine.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// The lock of a server on SQLite, in its state folder.
const SERVER_LOCK: &str = "server.lock";

/// Options of a process that drives runs among others.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PlaceArgs {
    /// Stages at the same time on this machine; 0 for none [default: as many as `--jobs`]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub slots: Option<u16>,
    /// The name of this worker [default: `TRUNKLINE_WORKER_NAME`, or the name of the machine with four
    /// letters of the state folder's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Something that stages may ask for with `labels`, such as `gpu=true` [default:
    /// `TRUNKLINE_WORKER_LABELS`]
    #[arg(long = "label", value_name = "NAME=VALUE")]
    pub labels: Vec<String>,
}

/// Takes `--server`, and leaves it out of the help of what only this machine can do.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct HereArgs {
    #[arg(long, hide = true, value_name = "URL")]
    server: Option<String>,
}

/// How a worker of a server works.
pub fn worker_settings(
    session: &Session,
    state: &State,
    (engine, place): (&EngineArgs, &PlaceArgs),
    kind: &str,
) -> Result<WorkerSettings, Usage> {
    let fleet = &session.settings.fleet;
    let mut labels = fleet.labels.clone();
    let given = read_labels(place.labels.iter().map(String::as_str));
    labels.extend(given.ok_or_else(|| {
        let wrong = place.labels.iter().find(|it| !it.contains('=')).cloned().unwrap_or_default();
        Usage::new(format!("`{wrong}` is no label"), "write `--label gpu=true`")
    })?);
    let name = place.name.clone().or_else(|| fleet.name.clone());
    let owner = name.unwrap_or_else(|| default_name(&state.instance));
    if !is_name(&owner) {
        let help = "a name has 1 to 63 of `a-z`, `0-9`, `-` and `_`; give one with `--name`";
        return Err(Usage::new(format!("`{owner}` cannot be the name of a worker"), help));
    }
    let drive = DriveArgs { engine: engine.clone(), no_keep: true, ..DriveArgs::default() };
    let settings = workers::worker_settings(session, state, &drive, Reuse::default());
    let slots = place.slots.map_or(settings.slots, usize::from);
    let place =
        WorkerPlace { kind: kind.to_owned(), labels, leaves_when_drained: kind == "worker" };
    Ok(WorkerSettings {
        owner,
        slots,
        look_ahead: engine.look_ahead.map_or(slots, usize::from),
        is_shared: true,
        lease: fleet.lease,
        place: Some(place),
        ..settings
    })
}

/// `builder-3f2a`: the machine, and the end of the state folder's id, as a machine may have several.
fn default_name(instance: &str) -> String {
    let host = fs::read_to_string(HOST_NAME).unwrap_or_default();
    let host = host.trim().split('.').next().unwrap_or_default().to_lowercase();
    let host: String = host
        .chars()
        .map(|it| if it.is_ascii_alphanumeric() || it == '-' { it } else { '-' })
        .take(48)
        .collect();
    let end = instance.get(instance.len().saturating_sub(4)..).unwrap_or_default();
    let host = if host.is_empty() { "worker" } else { &host };
    format!("{host}-{end}")
}

/// What runs attempts, reached before anything else begins.
pub enum Engine {
    /// Containers.
    Docker(Box<DockerExecutor>),
    /// Processes of this machine.
    Host(Box<HostExecutor>),
}

impl Engine {
    /// Connects; the error says what to do.
    pub async fn connect(
        session: &Session,
        state: &State,
        engine: &EngineArgs,
    ) -> anyhow::Result<Self> {
        match engine.executor.map_or(session.settings.executor, ExecutorKind::from) {
            ExecutorKind::Docker => {
                Ok(Self::Docker(Box::new(executor::docker(session, state).await?)))
            }
            ExecutorKind::Host => Ok(Self::Host(Box::new(executor::host(session, state)?))),
        }
    }

    /// Drives runs until `shutdown`, or until the worker is drained and leaves then. `drain` asks for that.
    /// Gives how many runs a drained worker has handed over; `None` when it was not drained.
    pub async fn work(
        self,
        (session, state): (&Session, &State),
        parts: (Projects, SecretSource, WorkerSettings),
        stops: Stops<'_>,
    ) -> anyhow::Result<Option<u64>> {
        let issuer = access::auth(session, state)?;
        let gateway = match session.settings.gateway_file.clone().map(gateway::Origin::Named) {
            Some(origin) => {
                let queue = gateway::QueuePart::OfServer;
                let set_up = gateway::SetUp { origin: &origin, model_calls: None, queue };
                Some(gateway::start(session, state, (set_up, "worker")).await?.0)
            }
            None => None,
        };
        let worked = match self {
            Self::Docker(docker) => {
                let worker = workers::server_worker(session, state, *docker, parts);
                let worker = worker.with_identity(issuer).with_gateway(gateway.clone());
                work(worker, stops).await
            }
            Self::Host(host) => {
                let worker = workers::server_worker(session, state, *host, parts);
                let worker = worker.with_identity(issuer).with_gateway(gateway.clone());
                work(worker, stops).await
            }
        };
        gateway::close(gateway.as_ref()).await;
        worked
    }
}

/// How work ends.
#[derive(Debug, Clone, Copy)]
pub struct Stops<'a> {
    /// At once; what runs goes on by itself.
    pub shutdown: &'a CancellationToken,
    /// When what runs has ended.
    pub drain: &'a CancellationToken,
}

async fn work<E: Executor>(worker: Worker<E>, stops: Stops<'_>) -> anyhow::Result<Option<u64>> {
    let done = CancellationToken::new();
    let drive = async {
        let ended = worker.serve(stops.shutdown).await;
        done.cancel();
        ended
    };
    let drain = async {
        tokio::select! {
            () = done.cancelled() => (),
            () = stops.drain.cancelled() => worker.drain(),
        }
    };
    let (ended, (), ()) = tokio::join!(drive, worker.keep_swept(&done), drain);
    ended?;
    Ok(worker.is_draining().then(|| worker.handed_over()))
}

/// Works beside a server, if it has a worker; the server ends when the worker breaks.
pub async fn work_beside<E: Executor>(
    worker: Option<Worker<E>>,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let Some(worker) = worker else { return Ok(()) };
    let never = CancellationToken::new();
    let worked = work(worker, Stops { shutdown, drain: &never }).await;
    if worked.is_err() {
        shutdown.cancel();
    }
    worked.map(drop)
}

/// Says that a process serves the state folder, as long as it lives. Only one may on SQLite: a second one
/// would answer with what the first does not know yet.
#[derive(Debug)]
pub struct ServerLock(Option<File>);

impl ServerLock {
    /// Takes the lock of a server on SQLite; nothing to take on Postgres.
    pub fn take(state: &State) -> anyhow::Result<Self> {
        if state.store.database_kind() == DatabaseKind::Postgres {
            return Ok(Self(None));
        }
        let path = state.folder.join(SERVER_LOCK);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("`{}` cannot be opened", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(Some(file))),
            Err(fs::TryLockError::WouldBlock) => Err(is_served(&state.folder, &path).into()),
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("`{}` cannot be locked", path.display()))
            }
        }
    }

    /// Writes down who has it.
    pub fn sign(&mut self, address: &str) -> std::io::Result<()> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        file.set_len(0)?;
        write!(file, "process {} on http://{address}", std::process::id())
    }
}

fn is_served(folder: &Path, lock: &Path) -> Broken {
    let holder = fs::read_to_string(lock).unwrap_or_default();
    let holder = if holder.is_empty() { "another process" } else { &holder };
    let message = format!("the state folder `{}` is served by {holder}", folder.display());
    let help = "stop that one, name another folder with `--state DIR`, or let several processes share a \
                Postgres: `DATABASE_URL`";
    Broken { message, help: help.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::default_name;
    use crate::model::access::is_name;

    #[test]
    fn the_default_name_is_a_name() {
        let name = default_name("01k9zzzzzzzzzzzzzzzzzz3f2a");
        assert!(is_name(&name) && name.ends_with("-3f2a"), "{name}");
    }
}

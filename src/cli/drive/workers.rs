//! Workers on a state folder: how they work, and what they remove that killed processes left.

use std::sync::Arc;

use super::args::{DriveArgs, Reuse};
use super::executor;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::executor::Executor;
use crate::model::Timestamp;
use crate::projects::Projects;
use crate::secrets::{Given, SecretSource};
use crate::worker::{self, BuiltImages, Swept, Worker, WorkerParts, WorkerSettings};

/// The longest log of one attempt.
const LOG_LIMIT_BYTES: u64 = 4 << 30;
/// What seems to have no state folder any more is left alone for so long.
const DAY_MILLISECONDS: i64 = 24 * 3600 * 1000;

/// Removes what killed processes, and state folders that are no more, have left behind. A machine
/// without Docker has nothing left in it.
pub async fn sweep(session: &Session, state: &State) -> Swept {
    let settings = || worker_settings(session, state, &DriveArgs::default(), Reuse::default());
    let mut swept = Swept::default();
    if let Ok(docker) = executor::docker(session, state).await {
        let orphans = docker.remove_orphans(Timestamp(session.now().0 - DAY_MILLISECONDS)).await;
        if let Err(error) = orphans {
            tracing::warn!(%error, "what other state folders left could not be removed");
        }
        let worker = worker(session, state, docker, (nothing_secret(), settings()));
        add(&mut swept, sweep_with(&worker).await);
    }
    if let Ok(host) = executor::host(session, state) {
        let worker = worker(session, state, host, (nothing_secret(), settings()));
        add(&mut swept, sweep_with(&worker).await);
    }
    swept
}

fn add(sum: &mut Swept, more: Swept) {
    sum.attempts += more.attempts;
    sum.images += more.images;
}

async fn sweep_with<E: Executor>(worker: &Worker<E>) -> Swept {
    worker.sweep(BuiltImages::KeepFailed).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "what is left over could not be removed; the next sweep tries again");
        Swept::default()
    })
}

fn nothing_secret() -> SecretSource {
    SecretSource::Given(Given::default())
}

/// A worker of a server, which fetches what its projects' runs need.
pub fn server_worker<E: Executor>(
    session: &Session,
    state: &State,
    executor: E,
    (projects, secrets, settings): (Projects, SecretSource, WorkerSettings),
) -> Worker<E> {
    let parts = parts(session, state, executor, secrets);
    Worker::new(WorkerParts { projects: Some(projects), ..parts }, settings)
}

/// A worker on this state folder.
pub fn worker<E: Executor>(
    session: &Session,
    state: &State,
    executor: E,
    (secrets, settings): (SecretSource, WorkerSettings),
) -> Worker<E> {
    Worker::new(parts(session, state, executor, secrets), settings)
}

fn parts<E: Executor>(
    session: &Session,
    state: &State,
    executor: E,
    secrets: SecretSource,
) -> WorkerParts<E> {
    WorkerParts {
        runs: state.runs.clone(),
        blobs: state.blobs.clone(),
        logs: state.logs.clone(),
        executor,
        clock: Arc::clone(&session.clock),
        secrets,
        projects: None,
    }
}

/// How a worker of this process works.
pub fn worker_settings(
    session: &Session,
    state: &State,
    args: &DriveArgs,
    reuse: Reuse,
) -> WorkerSettings {
    let slots = args.engine.jobs.map_or(session.settings.slots, usize::from);
    WorkerSettings {
        instance: state.instance.clone(),
        owner: format!("process {} of {}", std::process::id(), session.settings.user),
        state_folder: state.folder.clone(),
        slots,
        look_ahead: args.engine.look_ahead.map_or(slots, usize::from),
        log_limit_bytes: LOG_LIMIT_BYTES,
        keep_failed: args.keep || (session.output.is_live && !args.no_keep),
        reuse: reuse == Reuse::WhereUnchanged,
        is_shared: false,
        lease: worker::LEASE,
        place: None,
    }
}

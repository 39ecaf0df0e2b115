//! Drives a run in the foreground: the worker does the work, a report shows it beside, and signals
//! of the terminal become commands. A slow reader of the report never delays the run.

pub mod executor;
pub mod fleet;
pub mod follower;
pub mod gateway;
pub mod remembered;
pub mod report;
pub mod screen;
pub mod signals;
pub mod vanished;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::failure::{Exit, Usage};
use super::local::secrets;
use super::session::Session;
use super::state::State;
use crate::config::ExecutorKind;
use crate::engine::Command;
use crate::executor::{DockerExecutor, Executor, HostExecutor};
use crate::gateway::server::stages::Stages;
use crate::model::{AttemptName, RunId, RunStatus, Timestamp};
use crate::projects::Projects;
use crate::runs::LoadedRun;
use crate::runs::view::{RunView, Surroundings};
use crate::secrets::{Given, SecretSource};
use crate::worker::{self, BuiltImages, Swept, Worker, WorkerError, WorkerParts, WorkerSettings};
use screen::ReportArgs;

use remembered::Remembered;
use report::Report;
use signals::{Asked, Signals};

/// The longest log of one attempt.
const LOG_LIMIT_BYTES: u64 = 4 << 30;
/// What seems to have no state folder any more is left alone for so long.
const DAY_MILLISECONDS: i64 = 24 * 3600 * 1000;

/// What runs stages on this machine, and how many.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct EngineArgs {
    /// What runs the stages [default: `docker`, or what the run was created with]
    #[arg(long, value_enum)]
    pub executor: Option<executor::Choice>,
    /// Stages at the same time [default: the number of CPUs, at least 2]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub jobs: Option<u16>,
    /// Containers made ready while their needs still run; 0 for none [default: as many as `--jobs`]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub look_ahead: Option<u16>,
}

/// Options of the commands that drive runs.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DriveArgs {
    /// Give a secret; without a value it is read from the environment
    #[arg(long = "secret", value_name = "NAME[=VALUE]")]
    pub secrets: Vec<String>,
    /// Give the secrets of a file with `NAME=value` lines
    #[arg(long = "secrets-file", value_name = "FILE")]
    pub secrets_files: Vec<PathBuf>,
    /// What runs the stages.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// The file of the LLM gateway for the stages [default: `TRUNKLINE_GATEWAY`, or trunkline.gateway.toml
    /// of the repository]
    #[arg(long, value_name = "FILE")]
    pub gateway: Option<PathBuf>,
    /// What the cassettes of stages are for [default: `stages.model_calls` of the gateway's file]
    #[arg(long, value_name = "MODE", value_enum)]
    pub model_calls: Option<gateway::ModelCalls>,
    /// Keep the containers of failed stages for `trunkline shell` (on a terminal that is the default)
    #[arg(long, overrides_with = "no_keep")]
    pub keep: bool,
    /// Do not keep them
    #[arg(long, overrides_with = "keep")]
    pub no_keep: bool,
    /// How it is shown.
    #[command(flatten)]
    pub report: ReportArgs,
}

impl DriveArgs {
    /// Refuses what only this machine can do about a run of a server.
    pub fn check_remote(&self) -> Result<(), Usage> {
        let given = [
            (!self.secrets.is_empty(), "--secret"),
            (!self.secrets_files.is_empty(), "--secrets-file"),
            (self.engine.executor.is_some(), "--executor"),
            (self.engine.jobs.is_some(), "--jobs"),
            (self.engine.look_ahead.is_some(), "--look-ahead"),
            (self.keep, "--keep"),
            (self.gateway.is_some(), "--gateway"),
            (self.model_calls.is_some(), "--model-calls"),
        ];
        let Some((_, option)) = given.into_iter().find(|(is_given, _)| *is_given) else {
            return Ok(());
        };
        let message = format!("`{option}` is for runs that this machine drives");
        Err(Usage::new(message, "leave it out: the server has its own secrets and workers"))
    }
}

/// Whether an earlier green result may stand for a stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reuse {
    /// Where the stage declares `inputs` and they are as they were.
    #[default]
    WhereUnchanged,
    /// Every stage runs.
    Never,
}

impl Reuse {
    /// What `--no-reuse` says.
    #[must_use]
    pub fn unless(is_forbidden: bool) -> Self {
        if is_forbidden { Self::Never } else { Self::WhereUnchanged }
    }
}

/// Everything that is needed to drive runs here: secrets are gathered, the executor is reached.
pub struct Foreground<'a> {
    session: &'a Session,
    state: &'a State,
    args: &'a DriveArgs,
    secrets: BTreeMap<String, String>,
    engine: Engine,
    gateway: Option<Arc<Stages>>,
}

enum Engine {
    Docker(DockerExecutor),
    Host(HostExecutor),
}

/// Drives a run that is cancelled to its end, as [`Foreground::drive`] does; without a gateway where none can be started,
/// for what goes on must be stopped all the same.
pub async fn drive(
    session: &Session,
    state: &State,
    run: &RunId,
    args: &DriveArgs,
) -> anyhow::Result<Exit> {
    let repository = state.store.find_run(run).await?.map(|it| it.repository).unwrap_or_default();
    let mut foreground = Foreground::open_for(session, state, args, run).await?;
    let given = (args, &foreground.secrets);
    match Box::pin(gateway::of_run(session, state, given, (run, &repository))).await {
        Ok(gateway) => foreground.gateway = gateway,
        Err(error) => tracing::warn!(%error, "the run is ended without an LLM gateway"),
    }
    foreground.drive(run, Reuse::default()).await
}

impl<'a> Foreground<'a> {
    /// Gathers secrets and connects; what is missing is told before anything begins.
    pub async fn open(
        session: &'a Session,
        state: &'a State,
        args: &'a DriveArgs,
        kind: ExecutorKind,
    ) -> anyhow::Result<Self> {
        let secrets = secrets::gather(session, &args.secrets, &args.secrets_files)?;
        let engine = match kind {
            ExecutorKind::Docker => Engine::Docker(executor::docker(session, state).await?),
            ExecutorKind::Host => Engine::Host(executor::host(session, state)?),
        };
        Ok(Self { session, state, args, secrets, engine, gateway: None })
    }

    /// The same, with the executor that the run was created with unless another is asked for.
    pub async fn open_for(
        session: &'a Session,
        state: &'a State,
        args: &'a DriveArgs,
        run: &RunId,
    ) -> anyhow::Result<Self> {
        let kind = executor::kind_for(session, state, run, args.engine.executor);
        Self::open(session, state, args, kind).await
    }

    /// Starts the LLM gateway for a run of this repository, where a file says how. A file that is wrong is told before
    /// the run is made, or begins again: else it would be left for `trunkline resume`.
    pub async fn with_gateway(self, run: (&RunId, &str)) -> anyhow::Result<Self> {
        let given = (self.args, &self.secrets);
        let gateway = Box::pin(gateway::of_run(self.session, self.state, given, run)).await?;
        Ok(Self { gateway, ..self })
    }

    /// The secrets that were given.
    #[must_use]
    pub fn secrets(&self) -> &BTreeMap<String, String> {
        &self.secrets
    }

    /// Drives a run to its end, shows it, and gives the exit code.
    pub async fn drive(self, run: &RunId, reuse: Reuse) -> anyhow::Result<Exit> {
        let (session, state) = (self.session, self.state);
        let settings = worker_settings(session, state, self.args, reuse);
        let drive = Drive { session, state, run, report: self.args.report };
        let gateway = self.gateway;
        let parts = (SecretSource::Given(Given(self.secrets)), settings);
        let exit = match self.engine {
            Engine::Docker(docker) => {
                let worker = worker(session, state, docker, parts).with_gateway(gateway.clone());
                Box::pin(drive.with(worker)).await
            }
            Engine::Host(host) => {
                let worker = worker(session, state, host, parts).with_gateway(gateway.clone());
                Box::pin(drive.with(worker)).await
            }
        };
        gateway::close(gateway.as_ref()).await;
        if let (Ok(Exit::Passed | Exit::RunFailed), Some(gateway)) = (&exit, &gateway) {
            gateway.forget_address();
        }
        exit
    }
}

/// A run, and how to show it.
#[derive(Debug, Clone)]
struct Drive<'a> {
    session: &'a Session,
    state: &'a State,
    run: &'a RunId,
    report: ReportArgs,
}

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

/// Whether a container of the run is kept for a person to enter.
#[must_use]
pub fn keeps_some(state: &State, run: &RunId) -> bool {
    let entries = std::fs::read_dir(state.folder.join("kept")).into_iter().flatten().flatten();
    let mut names = entries.filter_map(|it| AttemptName::parse_slug(it.file_name().to_str()?));
    names.any(|it| it.run == *run)
}

/// Whether the error only says that another process drives the run.
#[must_use]
pub fn is_elsewhere(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(WorkerError::DrivenElsewhere { .. }))
}

/// Whether a run has not ended, and no living process goes on with it.
#[must_use]
pub fn is_interrupted(state: &State, run: &RunId, status: RunStatus) -> bool {
    !status.is_finished() && !worker::is_driven_here(&state.folder, run)
}

/// What people see of a run of this machine.
#[must_use]
pub fn view_of(session: &Session, state: &State, loaded: &LoadedRun) -> RunView {
    let row = &loaded.row;
    let is_interrupted = is_interrupted(state, &row.id, loaded.run.status());
    let around = Surroundings { events: loaded.seq, is_interrupted, ..Surroundings::of(row) };
    RunView::new(&loaded.run, around, session.now())
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

/// How driving ended.
enum Ended {
    Driven(Result<Option<RunStatus>, WorkerError>),
    /// The state folder was removed.
    Vanished,
}

impl Drive<'_> {
    async fn with<E: Executor>(&self, worker: Worker<E>) -> anyhow::Result<Exit> {
        let signals = Signals::listen()?;
        let loaded = self.state.runs.load(self.run).await?;
        let number = loaded.row.number;
        let report = Report::new(self.session, self.state, loaded.clone(), self.report);
        let done = CancellationToken::new();
        let (ended, shown) = tokio::join!(
            async {
                let ended = self.control(worker.clone(), loaded, signals).await;
                done.cancel();
                ended
            },
            report.show(&done),
        );
        let ended = match ended {
            Ended::Driven(ended) if !self.is_gone(ended.is_err() || shown.is_err()).await => ended,
            Ended::Driven(_) | Ended::Vanished => {
                if let Ok(report) = shown {
                    report.abandon().await;
                }
                let removed = worker.remove_all().await;
                return Err(vanished::error(self.state, number, removed).into());
            }
        };
        let report = shown?;
        match ended {
            Ok(ended) => {
                report.end().await?;
                Ok(exit_of(ended, (number, &Remembered::of_run(self.state, self.run).options())))
            }
            Err(error) => {
                report.abandon().await;
                Err(error.into())
            }
        }
    }

    /// Whether the state folder is gone; after an error it may be about to.
    async fn is_gone(&self, has_failed: bool) -> bool {
        vanished::has_vanished(self.state) || (has_failed && vanished::is_near(self.state).await)
    }

    /// Waits for the end of the run; meanwhile signals become commands.
    async fn control<E: Executor>(
        &self,
        worker: Worker<E>,
        mut loaded: LoadedRun,
        mut signals: Signals,
    ) -> Ended {
        let shutdown = CancellationToken::new();
        let mut driving = JoinSet::new();
        let (run, token) = (self.run.clone(), shutdown.clone());
        let had_driver = loaded.row.lease_epoch > 0;
        driving.spawn(async move {
            let ended = drive_and_sweep(&worker, &run, &token).await;
            if had_driver && matches!(ended, Ok(Some(_))) {
                let _swept = worker.sweep(BuiltImages::KeepRecent).await;
            }
            ended
        });
        let mut gone = std::pin::pin!(vanished::wait(self.state));
        loop {
            let asked = tokio::select! {
                Some(ended) = driving.join_next() => {
                    return Ended::Driven(ended.unwrap_or_else(resume_panic));
                }
                asked = signals.next() => asked,
                () = &mut gone => {
                    driving.shutdown().await;
                    return Ended::Vanished;
                }
            };
            match asked {
                Asked::Cancel => self.cancel(&mut loaded).await,
                Asked::Leave => shutdown.cancel(),
            }
        }
    }

    async fn cancel(&self, loaded: &mut LoadedRun) {
        let by = self.session.settings.user.clone();
        let command = Command::Cancel { by, reason: "Ctrl-C".to_owned() };
        let cancelled = self.state.runs.execute(loaded, &command, self.session.now()).await;
        if let Err(error) = cancelled {
            tracing::warn!(%error, "the run could not be cancelled");
        }
    }
}

/// Drives, and meanwhile removes what killed processes left behind.
async fn drive_and_sweep<E: Executor>(
    worker: &Worker<E>,
    run: &RunId,
    shutdown: &CancellationToken,
) -> Result<Option<RunStatus>, WorkerError> {
    let done = CancellationToken::new();
    let drive = async {
        let ended = worker.drive(run, shutdown).await;
        done.cancel();
        ended
    };
    let (ended, ()) = tokio::join!(drive, worker.keep_swept(&done));
    ended
}

fn exit_of(ended: Option<RunStatus>, (number, options): (i64, &str)) -> Exit {
    match ended {
        Some(RunStatus::Passed) => Exit::Passed,
        Some(_) => Exit::RunFailed,
        None => {
            let resume = format!("trunkline resume {number}{options}");
            let hint = format!("run #{number} is left as it is; `{resume}` goes on");
            let _nobody_reads = writeln!(std::io::stderr().lock(), "{hint}");
            Exit::Terminated
        }
    }
}

/// A panic of the worker is a panic of ours.
fn resume_panic<T>(error: tokio::task::JoinError) -> T {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(cancelled) => unreachable!("nobody cancels the worker: {cancelled}"),
    }
}

//! Drives a run in the foreground: the worker does the work, a report shows it beside, and signals
//! of the terminal become commands. A slow reader of the report never delays the run.

pub mod args;
pub mod executor;
pub mod fleet;
pub mod follower;
pub mod gateway;
pub mod remembered;
pub mod report;
pub mod screen;
pub mod signals;
pub mod standing;
pub mod vanished;
pub mod workers;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::failure::Exit;
use super::local::secrets;
use super::session::Session;
use super::state::State;
use crate::config::ExecutorKind;
use crate::engine::Command;
use crate::executor::{DockerExecutor, Executor, HostExecutor};
use crate::gateway::server::stages::Stages;
use crate::model::{RunId, RunStatus};
use crate::runs::LoadedRun;
use crate::secrets::{Given, SecretSource};
use crate::worker::{BuiltImages, Worker, WorkerError};

use args::{DriveArgs, Reuse};
use remembered::Remembered;
use report::Report;
use screen::ReportArgs;
use signals::{Asked, Signals};
use workers::{worker, worker_settings};

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

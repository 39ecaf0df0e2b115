//! The life of one attempt, from its container to its outcome. Begun anew or adopted: every part of
//! it can be done again after a crash and changes nothing that was done.

pub(in crate::worker) mod collect;
pub(in crate::worker) mod failure;
pub(in crate::worker) mod files;
pub(in crate::worker) mod identity;
pub(in crate::worker) mod job;
pub(in crate::worker) mod log;
pub(in crate::worker) mod models;
mod nearby;
mod patience;
mod reports;
pub(in crate::worker) mod secrets;
mod spool;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::{AttemptOutcome, Command};
use crate::executor::{
    AttemptState, BeginSpec, BuildSpec, Executor, ExecutorError, Exit, PrepareSpec, Signal,
    WorkspaceSpec,
};
use crate::gateway::ledger::notes::Notes;
use crate::model::{AttemptName, FailureClass, StageIndex};
use crate::runs::LoadedRun;
use crate::secrets::SecretRequest;
use crate::worker::Worker;
use crate::worker::attempt::failure::Failure;
use crate::worker::attempt::identity::IdentityRequest;
use crate::worker::attempt::job::{Job, Setup, Task};
use crate::worker::attempt::log::{AttemptLog, Pumped};
use crate::worker::attempt::patience::patiently;
use crate::worker::driver::look_ahead::Head;

/// What an attempt says while it is under way.
#[derive(Debug)]
pub(in crate::worker) enum Report {
    /// A step began.
    StepStarted { attempt: AttemptName, step: u32 },
    /// A step ended.
    StepFinished { attempt: AttemptName, step: u32, exit_code: i32 },
}

impl Report {
    /// As a word of the driver with this epoch.
    pub(in crate::worker) fn into_command(self, epoch: u64) -> Command {
        match self {
            Self::StepStarted { attempt, step } => Command::StartStep { attempt, step, epoch },
            Self::StepFinished { attempt, step, exit_code } => {
                Command::FinishStep { attempt, step, exit_code, epoch }
            }
        }
    }
}

/// How an attempt is asked to end while no process can be signalled. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::worker) struct Stops {
    stop: CancellationToken,
    kill: CancellationToken,
}

impl Stops {
    pub(in crate::worker) fn may_stop(&self) -> bool {
        !self.stop.is_cancelled()
    }

    pub(in crate::worker) fn may_kill(&self) -> bool {
        !self.kill.is_cancelled()
    }

    pub(in crate::worker) fn send(&self, signal: Signal) {
        self.stop.cancel();
        if signal == Signal::Kill {
            self.kill.cancel();
        }
    }
}

/// What a stage asks for that only some may have.
#[derive(Debug, Clone)]
pub(in crate::worker) struct Wishes {
    secrets: SecretRequest,
    identity: IdentityRequest,
}

impl Wishes {
    /// Those of a stage.
    pub(in crate::worker) fn of(loaded: &LoadedRun, stage: StageIndex) -> Self {
        Self {
            secrets: secrets::request(loaded, stage),
            identity: identity::request(loaded, stage),
        }
    }
}

/// One attempt.
pub(in crate::worker) struct Attempt<E> {
    pub(in crate::worker) worker: Worker<E>,
    pub(in crate::worker) name: AttemptName,
    pub(in crate::worker) reports: mpsc::Sender<Report>,
    pub(in crate::worker) stops: Stops,
}

impl<E: Executor> Attempt<E> {
    /// Makes the container ready, so that it only waits for its go.
    pub(in crate::worker) async fn look_ahead(
        &self,
        setup: Result<Setup, Failure>,
    ) -> Result<(), ExecutorError> {
        let rejected = |failure: Failure| ExecutorError::Rejected(failure.message);
        let setup = self.join_services(setup.map_err(rejected)?).await.map_err(rejected)?;
        let mut log =
            self.open_log(&setup).await.map_err(|it| ExecutorError::Rejected(it.message))?;
        self.prepare(&setup, &mut log).await
    }

    /// Runs the attempt, or goes on with it, to its end.
    pub(in crate::worker) async fn run(
        &self,
        job: Result<Job, Failure>,
        (wishes, head): (Wishes, Head),
    ) -> AttemptOutcome {
        let (job, notes) = match self.with_secrets(job, &wishes).await {
            Ok(ready) => ready,
            Err(failure) => return failure.into(),
        };
        let notes = notes.as_ref();
        let run = self.try_run(&job, head);
        let mut outcome = tokio::select! {
            outcome = run => outcome.unwrap_or_else(AttemptOutcome::from),
            () = self.end_when_refused(notes) => AttemptOutcome::default(),
        };
        self.leave_gateway(notes, &mut outcome).await;
        let mask = |text: &String| job.setup.masker.mask(text);
        let warnings = outcome.warnings.iter().map(mask).collect();
        AttemptOutcome { message: mask(&outcome.message), warnings, ..outcome }
    }

    async fn with_secrets(
        &self,
        job: Result<Job, Failure>,
        wishes: &Wishes,
    ) -> Result<(Job, Option<Notes>), Failure> {
        let mut job = job?;
        let delivered = secrets::deliver(&self.worker.parts.secrets, &wishes.secrets).await?;
        let issued = self.worker.issue(&self.name, &wishes.identity).await?;
        let masked = job.add_secrets(delivered, issued);
        let notes = self.join_gateway(&mut job, masked).await?;
        Ok((job, notes))
    }

    async fn try_run(&self, job: &Job, head: Head) -> Result<AttemptOutcome, Failure> {
        let known = self.wait_for_head(head).await;
        let mut log = self.open_log(&job.setup).await?;
        let outcome = match (known, &job.task) {
            (Some(error), _) => Err(error.into()),
            (None, Task::Command(_)) => self.run_command(job, &mut log).await,
            (None, Task::Build { .. }) => self.build(job, &mut log).await,
        };
        if let Err(ended) = &outcome
            && !log.has_output()
        {
            log.say(&ended.message).await?;
        }
        log.finish().await?;
        outcome
    }

    /// A container that is being made ready is found, not made twice; the error if it is known that the
    /// attempt cannot begin.
    async fn wait_for_head(&self, head: Head) -> Option<ExecutorError> {
        match head {
            Head::None | Head::Ready => None,
            Head::Failed(error) => Some(error),
            Head::Soon(soon) => tokio::select! {
                () = self.stops.stop.cancelled() => None,
                known = soon => known.ok().flatten(),
            },
        }
    }

    async fn open_log(&self, setup: &Setup) -> Result<AttemptLog, Failure> {
        AttemptLog::open(&self.worker, &self.name, setup.masker.clone())
            .await
            .map_err(Failure::from)
    }

    async fn run_command(
        &self,
        job: &Job,
        log: &mut AttemptLog,
    ) -> Result<AttemptOutcome, Failure> {
        let executor = &self.worker.parts.executor;
        match patiently(|| executor.state(&self.name)).await? {
            AttemptState::Absent | AttemptState::Prepared => self.begin(job, log).await?,
            AttemptState::Begun | AttemptState::Exited(_) => (),
            AttemptState::Lost => return Err(ExecutorError::Gone(self.name.slug()).into()),
        }
        let (exit, pumped) = self.follow(log).await?;
        let outcome = self.collect(job, &exit, &pumped).await?;
        log.warn_after_output(&outcome.warnings).await?;
        Ok(outcome)
    }

    async fn begin(&self, job: &Job, log: &mut AttemptLog) -> Result<(), Failure> {
        let Task::Command(command) = &job.task else { return Ok(()) };
        let begin = async {
            self.prepare(&job.setup, log).await?;
            self.bring_files(job, log).await?;
            let mut env = job.env.clone();
            env.push(("TRUNKLINE_ATTEMPT".to_owned(), self.name.attempt.to_string()));
            let spec = BeginSpec { command: command.clone(), env, files: job.files.clone() };
            let executor = &self.worker.parts.executor;
            Ok::<_, Failure>(patiently(|| executor.begin(&self.name, &spec)).await?)
        };
        tokio::select! {
            biased;
            () = self.stops.stop.cancelled() => Err(stopped()),
            done = begin => done,
        }
    }

    async fn prepare(&self, setup: &Setup, log: &mut AttemptLog) -> Result<(), ExecutorError> {
        let (lines, progress) = log::progress();
        let prepare = async {
            let say = move |line: String| {
                let _full = lines.try_send(line);
            };
            let spec = self.prepare_spec(setup, &say).await?;
            self.worker.parts.executor.prepare(&spec, &say).await
        };
        let (prepared, written) = tokio::join!(prepare, log.say_all(progress));
        written.map_err(|failure| ExecutorError::Infra {
            operation: "writing the log".to_owned(),
            reason: failure.message,
        })?;
        prepared
    }

    async fn prepare_spec(
        &self,
        setup: &Setup,
        say: &(dyn Fn(String) + Send + Sync),
    ) -> Result<PrepareSpec, ExecutorError> {
        let container = setup.container.as_deref();
        let user = container.and_then(|it| it.user.clone());
        let owner = match container {
            Some(_) => {
                let executor = &self.worker.parts.executor;
                Some(executor.image_user(&setup.image, setup.pull, user.as_deref(), say).await?)
            }
            None => None,
        };
        let checkout = self.worker.checkout(&self.name.run, setup, owner).await?;
        for warning in &checkout.warnings {
            say(format!("warning: {warning}"));
        }
        if self.worker.gateway.is_none() {
            models::say_missing(&self.name, setup.network, say);
        }
        let resources = container.map(|it| it.resources).unwrap_or_default();
        Ok(PrepareSpec {
            name: self.name.clone(),
            label: self.worker.label(&setup.stage),
            program: setup.program.clone(),
            image: setup.image.clone(),
            pull: setup.pull,
            user,
            read_only: container.is_some_and(|it| it.read_only),
            network: setup.network,
            cpu_millis: resources.cpu_millis,
            memory_bytes: resources.memory_bytes,
            pids: resources.pids,
            services: setup.services.clone(),
            workspace: WorkspaceSpec { checkout: Some(checkout.folder), mounts: checkout.objects },
            gateway: self.way_to_gateway(setup),
        })
    }

    /// Follows the log and waits for the exit. A log that has gone silent without an end never delays the
    /// end of the attempt for long.
    async fn follow(&self, log: &mut AttemptLog) -> Result<(Exit, Pumped), Failure> {
        let mut pumped = Pumped::default();
        let growth = log.growth();
        let mut missing = None;
        let exit = {
            let mut pump = std::pin::pin!(self.pump(log, &mut pumped));
            let mut wait = std::pin::pin!(self.wait());
            tokio::select! {
                biased;
                exit = &mut wait => {
                    missing = self.warn_of(growth.end_of(&mut pump).await);
                    exit?
                }
                ended = &mut pump => {
                    ended?;
                    wait.await?
                }
            }
        };
        // What reads a log as if it were whole would lie.
        log.warn_after_output(missing.as_slice()).await?;
        if pumped.over_limit {
            let limit = self.worker.settings.log_limit_bytes;
            let cut = format!("the log is cut here, as it grew over its limit of {limit} bytes");
            log.warn_after_output(&[cut]).await?;
            let message = format!(
                "the log grew over its limit of {limit} bytes, so the attempt was ended\n\
                 help: print less, or write to a file and declare it under `artifacts`"
            );
            return Err(Failure { exit_code: Some(exit.code), ..Failure::user(message) });
        }
        Ok((exit, pumped))
    }

    /// The exit counts, however the log ended.
    fn warn_of(&self, log_end: Option<Result<(), Failure>>) -> Option<String> {
        let reason = match log_end {
            Some(Ok(())) => return None,
            Some(Err(failure)) => failure.message,
            None => "it went silent without an end".to_owned(),
        };
        tracing::warn!(attempt = %self.name, reason, "the end of the log may be missing");
        Some(format!("the end of this log may be missing: {reason}"))
    }

    async fn wait(&self) -> Result<Exit, Failure> {
        let executor = &self.worker.parts.executor;
        let killed_in_vain = async {
            self.stops.kill.cancelled().await;
            tokio::time::sleep(crate::worker::KILL_PATIENCE).await;
        };
        tokio::select! {
            exit = patiently(|| executor.wait(&self.name)) => Ok(exit?),
            () = killed_in_vain => Err(Failure::new(
                FailureClass::Infra,
                "the container does not end although it was killed\nhelp: is Docker healthy? `trunkline doctor`",
            )),
        }
    }

    async fn build(&self, job: &Job, log: &mut AttemptLog) -> Result<AttemptOutcome, Failure> {
        let Task::Build { work, tags, args } = &job.task else {
            return Ok(AttemptOutcome::default());
        };
        let spec = BuildSpec {
            name: self.name.clone(),
            context: work.context.clone(),
            dockerfile: work.dockerfile.clone(),
            tags: tags.clone(),
            args: args.clone(),
            target: work.target.clone(),
            push: work.push,
        };
        self.prepare(&job.setup, log).await?;
        self.bring_files(job, log).await?;
        let (lines, progress) = log::progress();
        let build = async {
            let say = move |line: String| {
                let _full = lines.try_send(line);
            };
            tokio::select! {
                biased;
                () = self.stops.stop.cancelled() => Err(stopped()),
                image = self.worker.parts.executor.build(&spec, &say) => Ok(image?),
            }
        };
        let (image, written) = tokio::join!(build, log.say_all(progress));
        written?;
        let image = image?;
        let outputs =
            [("digest".to_owned(), image.digest), ("reference".to_owned(), image.reference)].into();
        Ok(AttemptOutcome { exit_code: Some(0), outputs, ..AttemptOutcome::default() })
    }
}

/// The engine knows why it was stopped and gives the class itself.
fn stopped() -> Failure {
    Failure::new(FailureClass::Cancelled, "stopped before it began")
}

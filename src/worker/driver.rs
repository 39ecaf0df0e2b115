//! The loop that drives one run: wait for one [`Input`], let the engine decide, act on what it wants.

mod reconcile;
mod groups;
pub(in crate::worker) mod lease;
pub(in crate::worker) mod look_ahead;
mod reuse;
mod loss;
mod hand_over;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::engine::{AttemptOutcome, Command, Event, Refused};
use crate::executor::{Executor, ExecutorError};
use crate::metrics::Queue;
use crate::model::{AttemptName, FailureClass, RunId, RunStatus, StageIndex, Timestamp};
use crate::runs::news::heard;
use crate::runs::{Change, LoadedRun, RunsError, run_group, stage_group};
use crate::worker::attempt::{Report, Stops};
use crate::worker::driver::hand_over::Standing;
use crate::worker::driver::lease::Lease;
use crate::worker::driver::look_ahead::LookAhead;
use crate::worker::slots::{Settling, Slot, Waiting};
use crate::worker::{Worker, WorkerError};

/// Reports of attempts that may wait for the driver.
const REPORTS_MAX: usize = 256;

/// Drives one run; lives as long as the lease.
pub(in crate::worker) struct Driver<'w, E> {
    pub(in crate::worker) worker: &'w Worker<E>,
    pub(in crate::worker) loaded: LoadedRun,
    pub(in crate::worker) lease: Lease,
    /// Attempts under way, with the means to stop them.
    pub(in crate::worker) attempts: HashMap<AttemptName, Stops>,
    pub(in crate::worker) look_ahead: LookAhead,
    pub(in crate::worker) tasks: JoinSet<TaskEnd>,
    pub(in crate::worker) names: HashMap<Id, AttemptName>,
    pub(in crate::worker) reports: mpsc::Sender<Report>,
    inbox: mpsc::Receiver<Report>,
    changes: broadcast::Receiver<Change>,
    /// A slot that became free while a stage was waiting for it.
    pub(in crate::worker) spare_slot: Option<Slot>,
    /// The run's place in the line for a slot, while it wants one.
    pub(in crate::worker) line: Option<Waiting>,
    /// What the run's work counts for.
    pub(in crate::worker) standing: Standing,
    /// Labels of a ready stage that this worker lacks.
    pub(in crate::worker) lacking: Option<BTreeMap<String, String>>,
    draining: watch::Receiver<bool>,
    settling: Option<Settling>,
    pub(in crate::worker) wake_at: Option<Timestamp>,
    /// When each concurrency group was last asked; `None` is the run's own.
    pub(in crate::worker) asked: HashMap<Option<StageIndex>, Timestamp>,
    /// Stages that may have, or wait for, a slot of their concurrency group.
    pub(in crate::worker) grouped: BTreeSet<StageIndex>,
    renewed: tokio::time::Instant,
    /// Whether it waits for a slot of this process.
    queue: Queue,
}

/// How a task of the driver ended.
pub(in crate::worker) enum TaskEnd {
    /// The attempt is over and its files are safe.
    Attempt(AttemptName, AttemptOutcome),
    /// A container was made ready before its turn.
    Prepared(AttemptName, Result<(), ExecutorError>),
    /// What was left of an attempt was removed (or could not be).
    Removed(AttemptName, Result<(), ExecutorError>),
    /// A signal was sent.
    Signalled,
}

/// Why the loop ended.
enum Ending {
    /// The run has ended.
    Done,
    /// Somebody with these labels is to go on.
    HandedOver(String),
    /// This process ends.
    Shutdown,
}

/// Everything that can wake the loop.
enum Input {
    Report(Report),
    Ended(Result<(Id, TaskEnd), JoinError>),
    SlotFree(Slot),
    Changed,
    /// The run has changed, or a slot of a group it waits for may be free.
    Heard,
    Draining,
    TimePassed,
    Shutdown,
}

impl<'w, E: Executor> Driver<'w, E> {
    /// Takes the run's lease.
    pub(in crate::worker) async fn start(
        worker: &'w Worker<E>,
        run: &RunId,
        settling: Option<Settling>,
    ) -> Result<Self, WorkerError> {
        let mut loaded = worker.parts.runs.load(run).await?;
        let lease = worker.take_lease(&mut loaded).await?;
        let standing = Standing::of(worker.parts.runs.store(), &loaded.row).await?;
        let (reports, inbox) = mpsc::channel(REPORTS_MAX);
        let has_group = |stage: &StageIndex| {
            let planned = loaded.run.plan().stages.get(stage.as_usize());
            planned.is_some_and(|it| it.concurrency.is_some())
        };
        let grouped = loaded.run.stages().map(|(index, _)| index).filter(has_group).collect();
        Ok(Self {
            worker,
            loaded,
            lease,
            attempts: HashMap::new(),
            look_ahead: LookAhead::new(worker.settings.look_ahead),
            tasks: JoinSet::new(),
            names: HashMap::new(),
            reports,
            inbox,
            changes: worker.parts.runs.subscribe(),
            spare_slot: None,
            line: None,
            standing,
            lacking: None,
            draining: worker.draining.subscribe(),
            settling,
            wake_at: None,
            asked: HashMap::new(),
            grouped,
            renewed: tokio::time::Instant::now(),
            queue: Queue::default(),
        })
    }

    /// Drives the run to its end; `None` when `shutdown` came first. Dropping the future leaves the
    /// containers to be adopted.
    pub(in crate::worker) async fn drive(
        mut self,
        shutdown: &CancellationToken,
    ) -> Result<Option<RunStatus>, WorkerError> {
        let ending = self.drive_on(shutdown).await;
        if let Some(gateway) = &self.worker.gateway {
            gateway.end_run(&self.loaded.row.id);
        }
        match ending {
            Ok(Ending::Done) => self.finish().await,
            Ok(Ending::HandedOver(wants)) => self.hand_over(&wants).await,
            Ok(Ending::Shutdown) => self.leave().await,
            Err(error @ WorkerError::DrivenElsewhere { .. }) => {
                self.stop_what_was_lost().await;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn drive_on(&mut self, shutdown: &CancellationToken) -> Result<Ending, WorkerError> {
        loop {
            self.reconcile().await?;
            self.settling = None;
            if self.is_done() {
                return Ok(Ending::Done);
            }
            if let Some(wants) = self.wants_elsewhere().await? {
                return Ok(Ending::HandedOver(wants));
            }
            let input = self.next_input(shutdown).await;
            if matches!(input, Input::Shutdown) {
                return Ok(Ending::Shutdown);
            }
            self.handle(input).await?;
        }
    }

    /// Names of the groups that were asked for something.
    fn groups_asked(&self) -> Vec<String> {
        let name = |asked: &Option<StageIndex>| match asked {
            Some(stage) => stage_group(&self.loaded, *stage),
            None => run_group(&self.loaded),
        };
        self.asked.keys().filter_map(name).collect()
    }

    fn is_done(&self) -> bool {
        self.loaded.run.status().is_finished() && self.attempts.is_empty()
    }

    async fn finish(mut self) -> Result<Option<RunStatus>, WorkerError> {
        self.look_ahead.close();
        self.discard_unwanted();
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.handle_end(ended).await?;
        }
        let run = self.loaded.row.id.clone();
        let store = self.worker.parts.runs.store();
        store.release_slots_of(&run).await.map_err(RunsError::from)?;
        self.worker.release_lease(&run, self.lease).await;
        Ok(Some(self.loaded.run.status()))
    }

    async fn next_input(&mut self, shutdown: &CancellationToken) -> Input {
        let now = self.worker.parts.clock.now();
        let renew_every = self.worker.renew_every();
        let until_wake = self.wake_at.map_or(renew_every, |at| at.since(now).into());
        let until_renewal = renew_every.saturating_sub(self.renewed.elapsed());
        let nap = until_wake.min(until_renewal).max(Duration::from_millis(1));
        let groups = self.groups_asked();
        let (run, seq) = (&self.loaded.row.id, self.loaded.seq);
        let concerns =
            |it: &Change| it.is_about(run, seq) || groups.iter().any(|group| it.frees(group));
        let poll = self.worker.parts.runs.poll_pause();
        let was_draining = *self.draining.borrow_and_update();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Input::Shutdown,
            Some(report) = self.inbox.recv() => Input::Report(report),
            Some(ended) = self.tasks.join_next_with_id() => Input::Ended(ended),
            slot = turn(&mut self.line) => Input::SlotFree(slot),
            Ok(()) = self.draining.changed(), if !was_draining => Input::Draining,
            () = heard(&mut self.changes, concerns) => Input::Heard,
            () = tokio::time::sleep(poll) => Input::Changed,
            () = tokio::time::sleep(nap) => Input::TimePassed,
        }
    }

    async fn handle(&mut self, input: Input) -> Result<(), WorkerError> {
        match input {
            Input::Report(report) => {
                let commands = self.commands_of(Some(report));
                self.record_all(&commands).await?;
            }
            Input::Ended(ended) => self.handle_end(ended).await?,
            Input::SlotFree(slot) => {
                self.spare_slot = Some(slot);
                self.line = None;
            }
            Input::Changed | Input::Heard => {
                if matches!(input, Input::Heard) {
                    self.asked.values_mut().for_each(|it| *it = Timestamp::default());
                }
                self.worker.parts.runs.refresh(&mut self.loaded).await?;
                self.check_lease()?;
            }
            Input::TimePassed | Input::Draining | Input::Shutdown => (),
        }
        if self.renewed.elapsed() >= self.worker.renew_every() {
            self.renew().await?;
        }
        Ok(())
    }

    async fn renew(&mut self) -> Result<(), WorkerError> {
        self.renewed = tokio::time::Instant::now();
        let run = self.loaded.row.id.clone();
        if self.worker.renew_lease(&run, self.lease.epoch).await? {
            return Ok(());
        }
        Err(self.driven_elsewhere())
    }

    /// A driver that was replaced stops before it does anything that its successor does not expect, such
    /// as adopting or removing an attempt of theirs.
    fn check_lease(&self) -> Result<(), WorkerError> {
        let is_replaced = self.loaded.run.epoch() > self.lease.epoch;
        if is_replaced { Err(self.driven_elsewhere()) } else { Ok(()) }
    }

    fn driven_elsewhere(&self) -> WorkerError {
        let (run, owner) = (self.loaded.row.id.clone(), "another process".to_owned());
        WorkerError::DrivenElsewhere { run, owner }
    }

    async fn handle_end(
        &mut self,
        ended: Result<(Id, TaskEnd), JoinError>,
    ) -> Result<(), WorkerError> {
        let (id, end) = match ended {
            Ok((id, end)) => (id, end),
            Err(error) => {
                let Some(name) = self.names.get(&error.id()).cloned() else { return Ok(()) };
                tracing::error!(attempt = %name, %error, "a task of the worker broke");
                let message = "the worker's own task broke; this is a bug in Trunkline";
                let outcome = AttemptOutcome::failed(FailureClass::Infra, message);
                (error.id(), TaskEnd::Attempt(name, outcome))
            }
        };
        self.names.remove(&id);
        match end {
            TaskEnd::Attempt(name, outcome) => self.finish_attempt(name, outcome).await,
            TaskEnd::Prepared(name, result) => {
                self.look_ahead.prepared(&name, &result);
                self.discard_unwanted();
                if self.has_ended(&name) {
                    // It was stopped before this was ready.
                    self.remove(name);
                }
                Ok(())
            }
            TaskEnd::Signalled => Ok(()),
            TaskEnd::Removed(name, result) => {
                if let Err(error) = result {
                    tracing::warn!(attempt = %name, %error, "left to the next sweep");
                }
                Ok(())
            }
        }
    }

    fn has_ended(&self, name: &AttemptName) -> bool {
        let attempts = self.loaded.run.stage(name.stage).map(|it| it.attempts.as_slice());
        let place = usize::try_from(name.attempt).unwrap_or(usize::MAX).saturating_sub(1);
        attempts.and_then(|it| it.get(place)).is_some_and(|it| it.finished_at.is_some())
    }

    async fn finish_attempt(
        &mut self,
        name: AttemptName,
        outcome: AttemptOutcome,
    ) -> Result<(), WorkerError> {
        self.attempts.remove(&name);
        if !outcome.is_passed() {
            self.keep_for_now(&name);
        }
        self.store_gates(&name, &outcome).await?;
        // What the task said before it ended comes first.
        let mut commands = self.commands_of(None);
        let (attempt, epoch) = (name.clone(), self.lease.epoch);
        commands.push(Command::FinishAttempt { attempt, outcome, epoch });
        self.record_all(&commands).await?;
        self.remember_result(&name).await?;
        // Only now is its exit durable, and its container may go.
        if !self.keeps(&name) {
            self.worker.forget(&name);
            self.remove(name);
        }
        self.discard_unwanted();
        Ok(())
    }

    /// What attempts have said by now, in order.
    fn commands_of(&mut self, first: Option<Report>) -> Vec<Command> {
        let epoch = self.lease.epoch;
        let rest = std::iter::from_fn(|| self.inbox.try_recv().ok());
        first.into_iter().chain(rest).map(|it| it.into_command(epoch)).collect()
    }

    /// Decides and stores commands that came together, in one transaction.
    async fn record_all(&mut self, commands: &[Command]) -> Result<(), WorkerError> {
        let now = self.worker.parts.clock.now();
        let runs = &self.worker.parts.runs;
        let (_, refusals) = runs.execute_all(&mut self.loaded, commands, now).await?;
        if refusals.iter().any(|it| matches!(it, Refused::StaleEpoch)) {
            return Err(self.driven_elsewhere());
        }
        for refused in refusals {
            tracing::debug!(%refused, "the run refused a command");
        }
        self.check_lease()
    }

    /// Decides and stores a command. A refusal is normal: others may have been faster.
    pub(in crate::worker) async fn record(&mut self, command: &Command) -> Result<(), WorkerError> {
        self.try_record(command).await.map(drop)
    }

    /// As [`Self::record`]; gives the events that followed, none after a refusal.
    pub(in crate::worker) async fn try_record(
        &mut self,
        command: &Command,
    ) -> Result<Vec<Event>, WorkerError> {
        let now = self.worker.parts.clock.now();
        match self.worker.parts.runs.execute(&mut self.loaded, command, now).await {
            Ok(events) => {
                self.check_lease()?;
                Ok(events)
            }
            Err(RunsError::Refused(Refused::StaleEpoch)) => Err(self.driven_elsewhere()),
            Err(RunsError::Refused(refused)) => {
                tracing::debug!(%refused, ?command, "the run refused a command");
                self.check_lease()?;
                Ok(Vec::new())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The turn of whoever stands in the line; never, out of it.
async fn turn(line: &mut Option<Waiting>) -> Slot {
    match line {
        Some(line) => line.turn().await,
        None => std::future::pending().await,
    }
}

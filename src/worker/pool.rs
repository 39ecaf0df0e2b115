//! A server's worker: takes runs that nobody drives, and drives each until it ends.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::executor::Executor;
use crate::model::{Milliseconds, RunId, RunStatus};
use crate::runs::news::heard;
use crate::runs::queue::claim_of;
use crate::runs::{Change, RunsError};
use crate::store::Store;
use crate::store::fleet::takeable::TakeableRun;
use crate::worker::{Worker, WorkerError, is_driven_here};

/// Between two looks for runs that nobody has announced here, where other processes are not heard.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two looks for runs that a dead process of this state folder has left.
const OWN_EVERY: Duration = Duration::from_secs(5);
/// Runs that one process drives at the same time. Each costs a task and a little memory; how many stages
/// run at once, the slots say.
const RUNS_MAX: usize = 500;
/// Runs that are taken over at one look.
const ORPHANS_MAX: u32 = 100;
/// How long a run rests that could not be driven.
const REST: Duration = Duration::from_secs(1);
/// A run whose labels nobody seems to have is driven by anybody after so long, so that time limits hold.
const UNWANTED_AFTER: Milliseconds = Milliseconds::from_seconds(30);

struct Pool<'w, E> {
    worker: &'w Worker<E>,
    driven: HashSet<RunId>,
    tasks: JoinSet<Ended>,
    names: HashMap<Id, RunId>,
    looked_at_own: Option<Instant>,
    /// Runs that could not be driven a moment ago, and when they may be tried again.
    resting: HashMap<RunId, Instant>,
    /// Whether something of ours may still run that somebody else has taken over.
    wants_sweep: bool,
}

/// How a driver ended; `None` when it was asked to stop, or has handed the run over.
type Ended = Result<Option<RunStatus>, WorkerError>;

impl<E: Executor> Worker<E> {
    /// Drives runs that nobody else drives until `shutdown`, and then leaves them to be adopted; or until it
    /// is drained, if its place says so.
    pub async fn serve(&self, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        let session = self.register(shutdown).await?;
        let done = CancellationToken::new();
        let drive = async {
            self.drive_all(shutdown).await;
            done.cancel();
        };
        tokio::join!(drive, self.keep_registered(session.as_deref(), &done));
        Ok(())
    }

    async fn drive_all(&self, shutdown: &CancellationToken) {
        let mut changes = self.parts.runs.subscribe();
        let mut draining = self.draining.subscribe();
        let mut pool = Pool {
            worker: self,
            driven: HashSet::new(),
            tasks: JoinSet::new(),
            names: HashMap::new(),
            looked_at_own: None,
            resting: HashMap::new(),
            wants_sweep: false,
        };
        while !shutdown.is_cancelled() && !pool.is_drained() {
            if let Err(error) = pool.take(shutdown).await {
                // The store may be away for a moment; nothing is lost by waiting.
                tracing::warn!(%error, "no runs could be taken");
            }
            let was_draining = *draining.borrow_and_update();
            let pause = if pool.resting.is_empty() {
                self.parts.runs.poll_pause().max(LOOK_EVERY)
            } else {
                REST
            };
            tokio::select! {
                () = shutdown.cancelled() => (),
                Some(ended) = pool.tasks.join_next_with_id() => pool.note_end(ended),
                () = heard(&mut changes, Change::is_takeable) => (),
                () = self.slots.room() => (),
                Ok(()) = draining.changed(), if !was_draining => (),
                () = tokio::time::sleep(pause) => (),
            }
        }
        while let Some(ended) = pool.tasks.join_next_with_id().await {
            pool.note_end(ended);
        }
    }
}

impl<E: Executor> Pool<'_, E> {
    /// Whether everything was handed over that is to be.
    fn is_drained(&self) -> bool {
        let leaves = |it: &crate::worker::WorkerPlace| it.leaves_when_drained;
        *self.worker.draining.borrow()
            && self.driven.is_empty()
            && self.worker.settings.place.as_ref().is_some_and(leaves)
    }

    /// Begins to drive what nobody drives.
    async fn take(&mut self, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        if *self.worker.draining.borrow() {
            return Ok(());
        }
        self.take_own(shutdown).await?;
        self.take_orphans(shutdown).await?;
        self.take_new(shutdown).await?;
        if std::mem::take(&mut self.wants_sweep) {
            self.worker.sweep_now.notify_one();
        }
        Ok(())
    }

    /// What a process of this state folder has left when it died: nobody else can adopt its containers.
    async fn take_own(&mut self, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        if self.looked_at_own.is_some_and(|it| it.elapsed() < OWN_EVERY) {
            return Ok(());
        }
        let settings = &self.worker.settings;
        let limit = u32::try_from(2 * RUNS_MAX).unwrap_or(u32::MAX);
        let held = self.store().list_runs_held_by(&settings.instance, limit).await;
        for run in held.map_err(RunsError::from)? {
            if !self.driven.contains(&run) && !is_driven_here(&settings.state_folder, &run) {
                self.drive(run, shutdown);
            }
        }
        self.looked_at_own = Some(Instant::now());
        Ok(())
    }

    /// What had a driver and has none any more, wherever that was.
    async fn take_orphans(&mut self, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        let now = self.worker.parts.clock.now();
        let orphans = self.store().list_orphaned_runs(now, ORPHANS_MAX).await;
        for run in orphans.map_err(RunsError::from)? {
            let is_unwanted = run.lease_until.plus(UNWANTED_AFTER) < now;
            if self.has(&run.wants) || is_unwanted {
                self.drive(run.id, shutdown);
            }
        }
        Ok(())
    }

    /// New runs, as many as there is room for, of each team its share.
    async fn take_new(&mut self, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        let appetite = self.worker.slots.appetite(self.worker.settings.slots);
        let appetite = appetite.min(RUNS_MAX.saturating_sub(self.driven.len()));
        if appetite == 0 {
            return Ok(());
        }
        let wants = self.store().list_wants_of_new_runs().await.map_err(RunsError::from)?;
        let wants: Vec<_> = wants.into_iter().filter(|it| self.has(it)).collect();
        // Some of them may be driven here already, and not have said so yet.
        let of_each = u32::try_from(appetite + self.driven.len().min(64)).unwrap_or(u32::MAX);
        let runs = self.store().list_new_runs(&wants, of_each).await.map_err(RunsError::from)?;
        let runs = runs.into_iter().filter(|it| !self.driven.contains(&it.id)).collect();
        for run in self.choose(runs, appetite) {
            self.drive(run, shutdown);
        }
        Ok(())
    }

    /// Those whose turn it is, as if each had got a slot.
    fn choose(&self, mut runs: Vec<TakeableRun>, count: usize) -> Vec<RunId> {
        let mut shares = self.worker.slots.shares_after_waiting();
        let mut claims: Vec<_> = runs.iter().map(claim_of).collect();
        let mut chosen = Vec::new();
        while chosen.len() < count
            && let Some(next) = shares.next(&claims)
        {
            shares.grant(&claims.swap_remove(next));
            chosen.push(runs.swap_remove(next).id);
        }
        chosen
    }

    /// Whether this worker has what a run wants.
    fn has(&self, wants: &str) -> bool {
        let wanted: Option<BTreeMap<String, String>> = serde_json::from_str(wants).ok();
        wants.is_empty() || wanted.is_some_and(|it| self.worker.has_labels(&it))
    }

    fn store(&self) -> &Store {
        self.worker.parts.runs.store()
    }

    fn drive(&mut self, run: RunId, shutdown: &CancellationToken) {
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        if self.driven.len() >= RUNS_MAX || self.resting.contains_key(&run) {
            return;
        }
        if !self.driven.insert(run.clone()) {
            return;
        }
        let (worker, shutdown, id) = (self.worker.clone(), shutdown.clone(), run.clone());
        let settling = worker.slots.settle();
        let span = tracing::info_span!("run", id = %run);
        let work = async move { worker.drive_anew(&id, settling, &shutdown).await };
        let task = self.tasks.spawn(work.instrument(span));
        self.names.insert(task.id(), run);
    }

    fn note_end(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(run) = self.names.remove(&id) else { return };
        self.driven.remove(&run);
        match ended {
            Ok((_, Ok(status))) => tracing::info!(%run, ?status, "a run is not driven any more"),
            Ok((_, Err(error))) => {
                log_failure(&run, &error);
                // It may be ours to take up again, or somebody else has it and our containers must go.
                self.resting.insert(run, Instant::now() + REST);
                self.looked_at_own = None;
                self.wants_sweep = true;
            }
            Err(error) => tracing::error!(%run, %error, "the driver of a run broke"),
        }
    }
}

fn log_failure(run: &RunId, error: &WorkerError) {
    if let WorkerError::DrivenElsewhere { owner, .. } = error {
        tracing::debug!(%run, owner, "a run is driven elsewhere");
    } else {
        tracing::error!(%run, %error, "a run could not be driven any further");
    }
}

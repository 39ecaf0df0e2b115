//! A server's worker: takes runs that nobody drives, and drives each until it ends.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::executor::Executor;
use crate::model::{RunId, RunStatus};
use crate::runs::{Change, RunsError};
use crate::worker::{Worker, WorkerError};

/// Between two looks for runs that nobody has announced here.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Runs that one process drives at the same time. Each costs a task and a little memory; how many stages
/// run at once, the slots say.
const RUNS_MAX: usize = 500;

struct Pool<'w, E> {
    worker: &'w Worker<E>,
    driven: HashSet<RunId>,
    tasks: JoinSet<Ended>,
    names: HashMap<Id, RunId>,
}

/// How a driver ended; `None` when it was asked to stop.
type Ended = Result<Option<RunStatus>, WorkerError>;

impl<E: Executor> Worker<E> {
    /// Drives every run that nobody else drives, until `shutdown`; then leaves them to be adopted.
    pub async fn serve(&self, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        let mut changes = self.parts.runs.subscribe();
        let mut pool = Pool {
            worker: self,
            driven: HashSet::new(),
            tasks: JoinSet::new(),
            names: HashMap::new(),
        };
        while !shutdown.is_cancelled() {
            if let Err(error) = pool.take(shutdown).await {
                // The store may be away for a moment; nothing is lost by waiting.
                tracing::warn!(%error, "no runs could be taken");
            }
            tokio::select! {
                () = shutdown.cancelled() => (),
                Some(ended) = pool.tasks.join_next_with_id() => pool.note_end(ended),
                () = new_run(&mut changes) => (),
                () = tokio::time::sleep(LOOK_EVERY) => (),
            }
        }
        while let Some(ended) = pool.tasks.join_next_with_id().await {
            pool.note_end(ended);
        }
        Ok(())
    }
}

/// Waits for a run that this process has made. What happens in runs is their drivers' matter: to look for new ones
/// at each event would read the whole list each time.
async fn new_run(changes: &mut broadcast::Receiver<Change>) {
    loop {
        match changes.recv().await {
            Ok(change) if !change.is_creation() => (),
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl<E: Executor> Pool<'_, E> {
    /// Begins to drive what nobody drives.
    async fn take(&mut self, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        let now = self.worker.parts.clock.now();
        let store = self.worker.parts.runs.store();
        let unfinished = store.list_unfinished_runs().await.map_err(RunsError::from)?;
        for row in unfinished {
            let is_taken = !row.lease_owner.is_empty() && row.lease_until > now;
            let is_mine = self.driven.contains(&row.id);
            if is_mine || (is_taken && self.worker.settings.is_shared) {
                continue;
            }
            if self.driven.len() >= RUNS_MAX {
                break;
            }
            self.drive(row.id, shutdown);
        }
        Ok(())
    }

    fn drive(&mut self, run: RunId, shutdown: &CancellationToken) {
        let (worker, shutdown, id) = (self.worker.clone(), shutdown.clone(), run.clone());
        self.driven.insert(run.clone());
        let span = tracing::info_span!("run", id = %run);
        let work = async move { worker.drive(&id, &shutdown).await };
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
            Ok((_, Err(error))) => log_failure(&run, &error),
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

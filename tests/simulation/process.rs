//! A process that drives runs, is killed, shut down or stalled, and is followed by the next one.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trunkline::blobs::{Blobs, Logs};
use trunkline::model::{RunId, RunStatus};
use trunkline::runs::Runs;
use trunkline::secrets::{Given, SecretSource};
use trunkline::store::Store;
use trunkline::worker::{BuiltImages, Worker, WorkerError, WorkerParts, WorkerSettings};

use crate::chance::{Dice, Seed};
use crate::machine::Machine;
use crate::place::Place;
use crate::plans::SECRET;
use crate::world::World;

/// The label of everything that is made.
pub(crate) const INSTANCE: &str = "simulated";
/// How often a process is followed by another.
const LIVES_MAX: u32 = 5;

/// Some runs, and how they are driven.
pub(crate) struct Process {
    pub(crate) place: Arc<Place>,
    pub(crate) world: Arc<World>,
    pub(crate) store: Store,
    /// The folder of the history.
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) runs: Vec<RunId>,
    pub(crate) seed: Seed,
    pub(crate) is_mortal: bool,
}

/// How one life of the process ends before its runs do.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Lives,
    Killed,
    ShutDown,
    /// It does nothing until so long after its successor began.
    Stalled(Duration),
}

/// A fate and its moment.
struct End {
    fate: Fate,
    begin: Instant,
    after: Duration,
    /// How much a killed process still does.
    polls: u64,
    /// Ends a stall.
    wake: CancellationToken,
}

impl End {
    fn moment(&self) -> Instant {
        self.begin + self.after
    }
}

type Driven = (RunId, Result<Option<RunStatus>, WorkerError>);

/// The logs that a driver with this name writes.
pub(crate) fn logs_of(folder: &std::path::Path, owner: &str) -> PathBuf {
    folder.join(format!("logs-{}", owner.rsplit('.').next().unwrap()))
}

impl Process {
    /// Drives its runs to their end, however many lives that takes.
    pub(crate) async fn live(self) {
        let mut dice = self.seed.dice(("process", &self.name));
        let mut machine = 0;
        let mut zombies = Vec::new();
        let mut wake_up: Option<(Duration, CancellationToken)> = None;
        for life in 0..LIVES_MAX {
            let is_last = life + 1 == LIVES_MAX;
            let fate = if is_last { Fate::Lives } else { self.fate(&mut dice) };
            let after = Duration::from_millis(dice.between(1, 6_000));
            let polls = dice.between(0, 60);
            let owner = format!("{}.{life}.{machine}", self.name);
            let worker = self.worker(&owner, machine);
            self.world.state().youngest_machines.insert(self.name.clone(), machine);
            let mut alarms = JoinSet::new();
            if let Some((late, wake)) = wake_up.take() {
                alarms.spawn(async move {
                    tokio::time::sleep(late).await;
                    wake.cancel();
                });
            }
            let wake = CancellationToken::new();
            let begin = Instant::now();
            let end = End { fate, begin, after, polls, wake: wake.clone() };
            let (done, left) = self.spend_life(&worker, end).await;
            while alarms.join_next().await.is_some() {}
            if done {
                break;
            }
            if let Fate::Stalled(late) = fate {
                wake_up = Some((late, wake));
            }
            if matches!(fate, Fate::Killed | Fate::Stalled(_)) {
                self.world.state().ledger.dead.insert(owner);
            }
            if let Some(left) = left {
                machine += 1;
                zombies.push(left);
            }
            if dice.percent(50) {
                tokio::time::sleep(Duration::from_millis(dice.between(0, 4_000))).await;
            }
        }
        for zombies in zombies {
            self.watch_zombies(zombies).await;
        }
    }

    fn fate(&self, dice: &mut Dice) -> Fate {
        if !self.is_mortal {
            return Fate::Lives;
        }
        // Soon enough for its answers to come before those of its successor, or much later.
        let longest = dice.pick(&[40, 150, 10_000]);
        let stall = Duration::from_millis(dice.between(0, longest));
        dice.pick(&[Fate::Lives, Fate::Killed, Fate::Killed, Fate::ShutDown, Fate::Stalled(stall)])
    }

    /// True when all runs have ended; else what still goes on, if anything does.
    async fn spend_life(
        &self,
        worker: &Worker<Machine>,
        end: End,
    ) -> (bool, Option<JoinSet<Driven>>) {
        let End { fate, after, .. } = end;
        let shutdown = CancellationToken::new();
        let death = Arc::new(Death::new(&end));
        let mut drives = self.begin_drives(worker, (&end, &death, &shutdown)).await;
        let mut sweeps = begin_sweeps(worker.clone());
        let end = async {
            match fate {
                Fate::Lives => std::future::pending().await,
                Fate::Killed => death.has_struck.notified().await,
                Fate::ShutDown | Fate::Stalled(_) => tokio::time::sleep(after).await,
            }
        };
        let is_cut_short = tokio::select! {
            () = self.finish(&mut drives) => false,
            () = end => true,
        };
        sweeps.shutdown().await;
        match fate {
            _ if !is_cut_short => (true, None),
            Fate::Lives => unreachable!("this life has no early end"),
            Fate::Killed => {
                drives.shutdown().await;
                (false, None)
            }
            Fate::ShutDown => {
                shutdown.cancel();
                self.finish(&mut drives).await;
                (false, None)
            }
            Fate::Stalled(_) => (false, Some(drives)),
        }
    }

    async fn begin_drives(
        &self,
        worker: &Worker<Machine>,
        (end, death, shutdown): (&End, &Arc<Death>, &CancellationToken),
    ) -> JoinSet<Driven> {
        let mut drives = JoinSet::new();
        for run in self.unfinished().await {
            let (worker, shutdown, death) = (worker.clone(), shutdown.clone(), death.clone());
            let stall =
                matches!(end.fate, Fate::Stalled(_)).then(|| (end.moment(), end.wake.clone()));
            drives.spawn(async move {
                let drive = death.may_strike(Box::pin(worker.drive(&run, &shutdown)));
                let end = stalled(Box::pin(drive), stall).await;
                (run, end)
            });
        }
        drives
    }

    async fn unfinished(&self) -> Vec<RunId> {
        let rows = self.store.list_unfinished_runs().await.unwrap();
        let ours = rows.into_iter().map(|it| it.id).filter(|it| self.runs.contains(it));
        ours.collect()
    }

    /// Waits for all drives; each must end well.
    async fn finish(&self, drives: &mut JoinSet<Driven>) {
        while let Some(driven) = drives.join_next().await {
            let (run, end) = driven.unwrap();
            if let Err(error) = end {
                self.world.blame(format!("driving {run} ended with: {error}"));
            }
        }
    }

    /// They stop when they learn that they were replaced, or that there is nothing left to do.
    async fn watch_zombies(&self, mut zombies: JoinSet<Driven>) {
        while let Some(driven) = zombies.join_next().await {
            match driven.unwrap() {
                (_, Ok(Some(_))) => (),
                (_, Err(WorkerError::DrivenElsewhere { .. })) => {
                    self.world.state().ledger.seen.replaced += 1;
                }
                (run, other) => {
                    self.world.blame(format!("a zombie that drove {run} ended with: {other:?}"));
                }
            }
        }
    }

    fn worker(&self, owner: &str, machine: u32) -> Worker<Machine> {
        let mut dice = self.seed.dice("settings");
        let parts = WorkerParts {
            runs: Runs::new(self.store.clone()),
            blobs: Blobs::open(&self.place.blobs()).unwrap(),
            logs: Logs::open(&logs_of(&self.folder, owner)).unwrap(),
            executor: Machine {
                world: self.world.clone(),
                process: self.name.clone(),
                number: machine,
            },
            clock: self.world.clone(),
            projects: None,
            secrets: SecretSource::Given(Given([("TOKEN".to_owned(), SECRET.to_owned())].into())),
        };
        let settings = WorkerSettings {
            instance: INSTANCE.to_owned(),
            owner: owner.to_owned(),
            state_folder: self.place.state_folder(machine),
            slots: dice.count(1, 4),
            look_ahead: dice.count(0, 3),
            log_limit_bytes: 1 << 20,
            keep_failed: false,
            reuse: self.is_mortal && dice.percent(50),
            is_shared: false,
            lease: trunkline::worker::LEASE,
            place: None,
        };
        Worker::new(parts, settings)
    }
}

fn begin_sweeps(worker: Worker<Machine>) -> JoinSet<()> {
    let mut sweeps = JoinSet::new();
    sweeps.spawn(async move {
        loop {
            let _next_time_then = worker.sweep(BuiltImages::KeepRecent).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    });
    sweeps
}

/// Does not go on for a while, as a stopped process. It is never stopped in the middle of a call of the
/// database: simulated time stands during those.
async fn stalled<F: Future + Unpin>(
    mut future: F,
    stall: Option<(Instant, CancellationToken)>,
) -> F::Output {
    if let Some((from, wake)) = stall {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(from) => (),
            output = &mut future => return output,
        }
        wake.cancelled().await;
    }
    future.await
}

/// Ends a process between any two of its steps: some polls after a moment.
struct Death {
    is_due: bool,
    from: Instant,
    polls: AtomicU64,
    has_struck: Notify,
}

impl Death {
    fn new(end: &End) -> Self {
        Self {
            is_due: matches!(end.fate, Fate::Killed),
            from: end.moment(),
            polls: AtomicU64::new(end.polls),
            has_struck: Notify::new(),
        }
    }

    async fn may_strike<F: Future + Unpin>(&self, mut future: F) -> F::Output {
        std::future::poll_fn(|context| {
            if self.is_due && self.from <= Instant::now() {
                if self.polls.load(Ordering::Relaxed) == 0 {
                    self.has_struck.notify_one();
                    return Poll::Pending;
                }
                self.polls.fetch_sub(1, Ordering::Relaxed);
            }
            Pin::new(&mut future).poll(context)
        })
        .await
    }
}

//! One history: some runs, the processes that drive them, the people who watch them, and the weather.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use trunkline::blobs::{Blobs, Logs};
use trunkline::engine::{Command, RerunScope};
use trunkline::model::Clock;
use trunkline::model::{RunId, StageIndex};
use trunkline::pipeline::Context;
use trunkline::runs::{CreateRun, LoadedRun, Runs, RunsError};
use trunkline::secrets::{Given, SecretSource};
use trunkline::store::Store;
use trunkline::worker::{BuiltImages, Worker, WorkerParts, WorkerSettings};

use crate::chance::{Dice, Seed};
use crate::checks;
use crate::machine::Machine;
use crate::person::Person;
use crate::place::{Place, database_in, open};
use crate::plans::random_plan;
use crate::process::{INSTANCE, Process};
use crate::weather::Weather;
use crate::world::{Seen, World};

/// In simulated time; far more than any history needs.
const PATIENCE: Duration = Duration::from_hours(2);

pub(crate) struct History {
    pub(crate) seed: Seed,
    pub(crate) is_calm: bool,
    pub(crate) place: Arc<Place>,
    pub(crate) folder: PathBuf,
    pub(crate) store: Store,
    pub(crate) world: Arc<World>,
    pub(crate) runs: Vec<RunId>,
}

impl History {
    /// Plays the history of a seed and gives what was wrong with it.
    pub(crate) async fn play(place: &Arc<Place>, number: u64) -> (Vec<String>, Seen) {
        let folder = place.begin_history(number);
        let store = open(&database_in(&folder)).await.hold_time_while_working();
        tokio::time::pause();
        let seed = Seed(number);
        let is_calm = number.is_multiple_of(5);
        let weather = if is_calm { Weather::calm(seed) } else { Weather::stormy(seed) };
        let world = Arc::new(World::new(weather, Runs::new(store.clone())));
        let place = Arc::clone(place);
        let mut history = Self { seed, is_calm, place, folder, store, world, runs: Vec::new() };
        let played = tokio::time::timeout(PATIENCE, history.play_rounds()).await;
        if played.is_err() {
            history.world.blame("it does not come to an end".to_owned());
        }
        let ledger = std::mem::take(&mut history.world.state().ledger);
        history.store.close().await;
        std::fs::remove_dir_all(&history.folder).unwrap();
        (ledger.violations, ledger.seen)
    }

    async fn play_rounds(&mut self) {
        let mut dice = self.seed.dice("history");
        self.create_runs(&mut dice).await;
        self.play_round(0, &mut dice).await;
        if !self.is_calm && dice.percent(25) {
            self.rerun_some(&mut dice).await;
            self.play_round(1, &mut dice).await;
        }
        self.sweep().await;
        checks::check(self).await;
    }

    async fn create_runs(&mut self, dice: &mut Dice) {
        let count = dice.pick(&[1, 1, 1, 2, 3]);
        let mut plan = random_plan(dice, !self.is_calm);
        let is_same = dice.percent(50);
        let runs = Runs::new(self.store.clone());
        for number in 0..count {
            if number > 0 && !is_same {
                plan = random_plan(dice, !self.is_calm);
            }
            let snapshot = &self.place.snapshot;
            let mut context = Context { event: "push".to_owned(), ..Context::default() };
            context.git.sha.clone_from(&snapshot.commit);
            let id = RunId(format!("h{}r{number}", self.seed.0));
            let create = CreateRun {
                id: id.clone(),
                repository: self.place.repository(),
                tree: snapshot.tree.clone(),
                project: trunkline::model::ProjectId(String::new()),
                cause: String::new(),
                height: 0,
                plan: plan.clone(),
                context,
                created_at: self.world.now(),
            };
            runs.create(&create).await.unwrap();
            self.runs.push(id);
        }
    }

    /// Drives all runs to their end, by one process or by one for each.
    async fn play_round(&self, round: u32, dice: &mut Dice) {
        let mut people = JoinSet::new();
        for run in &self.runs {
            let seed = self.seed;
            let cancels = dice.pick(&[0, 0, 0, 0, 1, 1, 2]);
            let cancels = if self.is_calm { 0 } else { cancels };
            let runs = Runs::new(self.store.clone());
            let person = Person { world: self.world.clone(), runs, seed, cancels };
            people.spawn(person.attend(run.clone()));
        }
        let shares: Vec<Vec<RunId>> = if dice.percent(50) {
            vec![self.runs.clone()]
        } else {
            self.runs.iter().map(|run| vec![run.clone()]).collect()
        };
        let mut processes = JoinSet::new();
        for (number, runs) in shares.into_iter().enumerate() {
            let process = Process {
                place: self.place.clone(),
                world: self.world.clone(),
                store: self.store.clone(),
                folder: self.folder.clone(),
                name: format!("{round}p{number}"),
                runs,
                seed: self.seed,
                is_mortal: !self.is_calm,
            };
            let late = Duration::from_millis(dice.between(0, 2_000));
            processes.spawn(async move {
                tokio::time::sleep(late).await;
                process.live().await;
            });
        }
        while let Some(lived) = processes.join_next().await {
            lived.unwrap();
        }
        while let Some(watched) = people.join_next().await {
            self.compare(watched.unwrap()).await;
        }
    }

    /// What a person has followed event by event is what a new reader finds.
    async fn compare(&self, mut watched: LoadedRun) {
        let runs = Runs::new(self.store.clone());
        runs.refresh(&mut watched).await.unwrap();
        let fresh = runs.load(&watched.row.id).await.unwrap();
        if watched.run != fresh.run || watched.seq != fresh.seq {
            self.world.blame(format!("{}: a replay gives another state", watched.row.id));
        }
    }

    async fn rerun_some(&self, dice: &mut Dice) {
        let runs = Runs::new(self.store.clone());
        for run in &self.runs {
            let mut loaded = runs.load(run).await.unwrap();
            let first = RerunScope::Stages(vec![StageIndex(0)]);
            let scope = dice.pick(&[RerunScope::All, RerunScope::Failed, first]);
            let command = Command::Rerun { scope, by: "p0".to_owned(), no_reuse: false };
            match runs.execute(&mut loaded, &command, self.world.now()).await {
                Ok(_) | Err(RunsError::Refused(_)) => (),
                Err(error) => self.world.blame(format!("rerun: {error}")),
            }
        }
    }

    /// When the storm is over, a sweep leaves nothing behind.
    async fn sweep(&self) {
        self.world.state().weather = Weather::calm(self.seed);
        let parts = WorkerParts {
            runs: Runs::new(self.store.clone()),
            blobs: Blobs::open(&self.place.blobs()).unwrap(),
            logs: Logs::open(&self.folder.join("logs-0")).unwrap(),
            executor: Machine { world: self.world.clone(), process: "sweep".to_owned(), number: 0 },
            clock: self.world.clone(),
            projects: None,
            secrets: SecretSource::Given(Given::default()),
        };
        let settings = WorkerSettings {
            instance: INSTANCE.to_owned(),
            owner: "sweep.0.0".to_owned(),
            state_folder: self.place.state_folder(0),
            slots: 1,
            look_ahead: 0,
            log_limit_bytes: 1,
            keep_failed: false,
            reuse: false,
            is_shared: false,
            lease: trunkline::worker::LEASE,
            place: None,
        };
        let found = self.world.state().containers.len();
        let swept = Worker::new(parts, settings).sweep(BuiltImages::KeepFailed).await.unwrap();
        if self.is_calm && found > 0 {
            self.world.blame(format!("{found} containers were left to the sweep"));
        }
        let left: Vec<_> = self.world.state().containers.keys().cloned().collect();
        if !left.is_empty() || swept.attempts != found {
            self.world.blame(format!("of {found} containers, {left:?} are left"));
        }
    }
}

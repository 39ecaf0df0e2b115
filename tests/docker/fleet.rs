//! Two servers and two workers on one Postgres over real Docker: any of them is killed at random, Postgres is
//! restarted in the middle; no run is lost, none is made twice, no attempt runs twice. There are two state
//! folders on one Docker, and what is made ahead in both does not meet: what dies is adopted by its neighbour, or lost and tried again on the other one.
//!
//! `FLEET_RUNS` and `FLEET_KILLS` say how much (12 and 5 without), `FLEET_SEED` repeats a history.

mod postgres;
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use trunkline::engine::Stage;
use trunkline::model::{
    AttemptName, FailureClass, ForgeKind, ProjectId, RunStatus, StageStatus, TeamId, Timestamp,
};
use trunkline::runs::{LoadedRun, Runs};
use trunkline::store::Store;
use trunkline::store::access::projects::ProjectRow;
use trunkline::store::access::teams::TeamRow;
use trunkline::store::runs::RunFilter;

use crate::bench::setting;
use crate::docker;
use crate::witness::Witness;
use postgres::Cluster;
use process::Process;

/// Stages of each run.
const STAGES: [&str; 2] = ["first", "second"];
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_survives_kill_9_of_any_of_its_processes() {
    if !docker::is_here() {
        return;
    }
    let Some(cluster) = Cluster::start() else { return };
    let (runs, kills) = (setting("FLEET_RUNS").unwrap_or(12), setting("FLEET_KILLS").unwrap_or(5));
    let seed: u64 = setting("FLEET_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    eprintln!("FLEET_SEED={seed} FLEET_RUNS={runs} FLEET_KILLS={kills}");
    let mut fleet = Fleet::start(cluster, runs, fastrand::Rng::with_seed(seed)).await;
    let started = Instant::now();
    fleet.live_through(kills).await;
    let seconds = started.elapsed().as_secs();
    let told = fleet.check().await;
    eprintln!("{runs} runs, {kills} kills, one restart of Postgres: {told}, {seconds} s");
    fleet.leave_nothing();
}

/// Everything of one trial.
struct Fleet {
    cluster: Cluster,
    store: Store,
    folder: tempfile::TempDir,
    witness: Witness,
    processes: Vec<Process>,
    random: fastrand::Rng,
    runs: usize,
    pushed: usize,
}

impl Fleet {
    async fn start(cluster: Cluster, runs: usize, random: fastrand::Rng) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let witness = Witness::start();
        let store = Store::open(&cluster.url()).await.unwrap();
        let fleet = Self {
            cluster,
            store,
            folder,
            witness,
            processes: Vec::new(),
            random,
            runs,
            pushed: 0,
        };
        fleet.make_repository();
        fleet.make_project().await;
        fleet.with_processes()
    }

    fn with_processes(mut self) -> Self {
        // Two machines, as far as one can play two: a state folder each.
        for (name, kind, machine) in [
            ("server-1", "serve", "machine-1"),
            ("server-2", "serve", "machine-2"),
            ("worker-1", "worker", "machine-1"),
            ("worker-2", "worker", "machine-2"),
        ] {
            let process = Process {
                name: name.to_owned(),
                kind: kind.to_owned(),
                state: self.folder.path().join(machine),
                log: self.folder.path().join(format!("{name}.log")),
                shared: self.folder.path().join("shared"),
                repositories: self.folder.path().join("repositories"),
                database: self.cluster.url(),
                child: None,
                back_at: None,
            };
            self.processes.push(process);
        }
        // The first server makes the keys that all need.
        self.processes[0].start();
        self.wait_until("the keys", |it| it.folder.path().join("shared/secret.keys").exists());
        for process in &mut self.processes[1..] {
            process.start();
        }
        self
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repositories/shop.git")
    }

    fn git(&self, arguments: &[&str]) {
        let git = Command::new("git").arg("-C").arg(self.repository()).args(arguments).output();
        let git = git.unwrap();
        assert!(git.status.success(), "git {arguments:?}: {git:?}");
    }

    fn make_repository(&self) {
        let work = self.folder.path().join("work");
        let pipeline = pipeline(&docker::gateway(), self.witness.port);
        std::fs::create_dir_all(work.join("pipelines")).unwrap();
        std::fs::create_dir_all(self.folder.path().join("repositories")).unwrap();
        std::fs::create_dir_all(self.folder.path().join("shared")).unwrap();
        std::fs::write(work.join("pipelines/fleet.yml"), pipeline).unwrap();
        let git = |arguments: &[&str]| {
            let git = Command::new("git").arg("-C").arg(&work).args(arguments).output().unwrap();
            assert!(git.status.success(), "git {arguments:?}: {git:?}");
        };
        git(&["init", "-q", "-b", "main"]);
        git(&["add", "."]);
        git(&["-c", "user.name=Ada", "-c", "user.email=a@example.com", "commit", "-qm", "first"]);
        git(&["clone", "-q", "--bare", ".", self.repository().to_str().unwrap()]);
    }

    async fn make_project(&self) {
        let (created_at, team) = (Timestamp(0), TeamId("t1".to_owned()));
        let (name, title) = ("shop".to_owned(), "Shop".to_owned());
        let row = TeamRow { id: team.clone(), name, title, weight: 1, created_at };
        self.store.insert_team(&row).await.unwrap();
        let project = ProjectRow {
            id: ProjectId("p1".to_owned()),
            team,
            team_name: "shop".to_owned(),
            name: "web".to_owned(),
            address: format!("file://{}", self.repository().display()),
            forge: ForgeKind::Git,
            forge_url: String::new(),
            forge_path: String::new(),
            default_branch: "main".to_owned(),
            priority: 0,
            poll_seconds: 5,
            created_at,
            archived_at: None,
        };
        self.store.insert_project(&project).await.unwrap();
    }

    /// Pushes branches, kills and brings back, until everything has ended.
    async fn live_through(&mut self, kills: usize) {
        self.wait_for_first_look().await;
        let (mut killed, mut has_restarted, mut last) = (0, false, Instant::now());
        let mut ended = 0;
        let mut next_kill = Instant::now() + Duration::from_secs(4);
        loop {
            self.push_some();
            self.bring_back();
            if killed < kills && Instant::now() >= next_kill {
                self.kill_one();
                killed += 1;
                next_kill = Instant::now() + Duration::from_millis(self.random.u64(500..7000));
            }
            if !has_restarted && killed * 2 >= kills && ended > 0 {
                self.cluster.restart();
                has_restarted = true;
                eprintln!("Postgres was restarted after {killed} kills, {ended} runs had ended");
            }
            let now = self.ended().await.unwrap_or(ended);
            if now > ended {
                (ended, last) = (now, Instant::now());
            }
            if ended >= self.runs && killed == kills && has_restarted {
                return;
            }
            assert!(last.elapsed() < PATIENCE, "nothing ends any more; {ended} have");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// The first look at a remote starts nothing.
    async fn wait_for_first_look(&self) {
        let started = Instant::now();
        let project = ProjectId("p1".to_owned());
        while self.store.find_known_ref(&project, "refs/heads/main").await.unwrap().is_none() {
            assert!(started.elapsed() < PATIENCE, "no server looks at the remote");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn push_some(&mut self) {
        let count = self.random.usize(0..4).min(self.runs - self.pushed);
        for _ in 0..count {
            self.pushed += 1;
            self.git(&["branch", &format!("b{}", self.pushed), "main"]);
        }
    }

    fn kill_one(&mut self) {
        let alive: Vec<usize> =
            (0..self.processes.len()).filter(|it| self.processes[*it].child.is_some()).collect();
        if alive.len() < 2 {
            return;
        }
        let victim = alive[self.random.usize(..alive.len())];
        // Back at once, to adopt what it had; or after its lease, when others have gone on.
        let away = Duration::from_millis(self.random.u64(0..9000));
        self.processes[victim].kill(away);
    }

    fn bring_back(&mut self) {
        for process in &mut self.processes {
            process.revive();
        }
    }

    async fn ended(&self) -> Option<usize> {
        let statuses = vec![RunStatus::Passed, RunStatus::Failed, RunStatus::Cancelled];
        let filter = RunFilter { statuses, limit: 10_000, ..RunFilter::default() };
        // Away while Postgres is restarted.
        self.store.list_runs(&filter).await.ok().map(|it| it.len())
    }

    fn wait_until(&self, what: &str, is_there: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !is_there(self) {
            assert!(started.elapsed() < PATIENCE, "{what} did not come");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// One run for each branch, each passed; each attempt was heard at most once, and each that passed once.
    async fn check(&self) -> String {
        let runs = Runs::new(self.store.clone());
        let filter = RunFilter { limit: 10_000, ..RunFilter::default() };
        let rows = self.store.list_runs(&filter).await.unwrap();
        let branches: BTreeSet<_> = rows.iter().map(|it| it.branch.clone()).collect();
        let wanted: BTreeSet<_> = (1..=self.runs).map(|it| format!("b{it}")).collect();
        assert_eq!(branches, wanted, "a run for each branch");
        assert_eq!(rows.len(), self.runs, "one run for each branch");
        let heard = self.witness.heard();
        let (mut lost, mut attempts, mut drivers) = (0, BTreeMap::new(), 0);
        for row in &rows {
            let loaded = runs.load(&row.id).await.unwrap();
            assert_eq!(loaded.run.status(), RunStatus::Passed, "{}", told(&loaded));
            drivers += loaded.run.epoch();
            for (index, stage) in loaded.run.stages() {
                assert_eq!(stage.status, StageStatus::Passed, "{}", told(&loaded));
                lost += check_stage(&loaded, stage);
                for attempt in (1..).take(stage.attempts.len()) {
                    let name = AttemptName { run: row.id.clone(), stage: index, attempt };
                    attempts.insert(word(&name), attempt as usize == stage.attempts.len());
                }
            }
        }
        for (name, count) in &heard {
            assert_eq!(*count, 1, "`{name}` ran {count} times");
            assert!(attempts.contains_key(name), "nobody knows of `{name}`");
        }
        for name in attempts.iter().filter(|(_, has_passed)| **has_passed).map(|it| it.0) {
            assert!(heard.contains_key(name), "`{name}` passed and was never heard");
        }
        format!("{} attempts, {lost} of them lost, {drivers} drivers", attempts.len())
    }

    /// With everybody back, their sweeps find what dead ones have left.
    fn leave_nothing(&mut self) {
        for process in &mut self.processes {
            process.kill(Duration::ZERO);
            process.revive();
        }
        self.wait_until("an empty Docker", |it| {
            it.processes.iter().all(|it| docker::things_of(&it.instance()).is_empty())
        });
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for process in &mut self.processes {
            process.kill(Duration::from_hours(1));
            crate::bench::remove_things_of(&process.instance());
        }
    }
}

/// All attempts but the last were lost with their worker.
fn check_stage(loaded: &LoadedRun, stage: &Stage) -> usize {
    let (last, lost) = stage.attempts.split_last().unwrap();
    assert!(last.outcome.as_ref().unwrap().is_passed());
    for attempt in lost {
        let class = attempt.outcome.as_ref().unwrap().class;
        assert_eq!(class, Some(FailureClass::LostWorker), "{}", told(loaded));
    }
    lost.len()
}

fn told(loaded: &LoadedRun) -> String {
    let stages = loaded.run.stages().map(|(index, stage)| {
        let outcomes: Vec<_> = stage.attempts.iter().map(|it| &it.outcome).collect();
        format!("{} {:?}: {outcomes:?}", STAGES[index.as_usize()], stage.status)
    });
    format!("run {}: {}", loaded.row.number, stages.collect::<Vec<_>>().join("; "))
}

/// What an attempt calls itself outside.
fn word(name: &AttemptName) -> String {
    format!("{} {} {}", name.run, STAGES[name.stage.as_usize()], name.attempt)
}

fn pipeline(gateway: &str, port: u16) -> String {
    let mut text = String::from(
        "version: 1\nname: fleet\non: { push: {} }\ndefaults:\n  image: \"busybox:stable\"\n  \
         retry: { max: 10, on: [lost_worker], delay: 1s }\nstages:\n",
    );
    for (place, stage) in STAGES.iter().enumerate() {
        let needs = STAGES[..place].last().map_or("[]".to_owned(), |it| format!("[{it}]"));
        text += &format!(
            "  {stage}:\n    needs: {needs}\n    run: echo \"$TRUNKLINE_RUN_ID $TRUNKLINE_STAGE \
             $TRUNKLINE_ATTEMPT\" | nc {gateway} {port}; sleep 1\n"
        );
    }
    text
}

//! `kill -9` of the engine at random instants over real Docker runs, restarted each time: every run ends
//! as it would have, no step runs twice, no event and no byte of a log is lost, nothing is left over.
//!
//! `KILLS` says how often it is killed in all (10 without), `KILL_SEED` repeats a failed history.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use trunkline::blobs::Logs;
use trunkline::model::{AttemptName, RunStatus, StageIndex, StageStatus};
use trunkline::runs::{LoadedRun, Runs};
use trunkline::store::Store;
use trunkline::store::runs::RunFilter;

#[path = "support/docker.rs"]
mod docker;

/// Stages of each run.
const STAGES: usize = 30;
/// Lines that each stage prints.
const LINES: usize = 200;
/// The longest a run may take, kills included.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn a_run_survives_kill_9_at_any_instant() {
    if !docker::is_here() {
        return;
    }
    let kills: usize = setting("KILLS").unwrap_or(10);
    let seed: u64 = setting("KILL_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    eprintln!("KILL_SEED={seed} KILLS={kills}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut done = 0;
    while done < kills {
        let mut world = World::new(random.u64(..));
        done += world.run_with_kills(&mut random, kills - done);
        world.check(seed);
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no `config`")]
fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// One run with everything around it.
struct World {
    folder: tempfile::TempDir,
    witness: Witness,
    shape: u64,
}

impl World {
    fn new(shape: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let witness = Witness::start();
        let world = Self { folder, witness, shape };
        std::fs::create_dir_all(world.repository().join("pipelines")).unwrap();
        let pipeline = pipeline(shape, &docker::gateway(), world.witness.port);
        std::fs::write(world.repository().join("pipelines/kill.yml"), pipeline).unwrap();
        for arguments in [
            &["init", "-q", "-b", "main"][..],
            &["add", "."],
            &["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "first"],
        ] {
            let git = Command::new("git").args(arguments).current_dir(world.repository()).status();
            assert!(git.unwrap().success());
        }
        world
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn trunkline(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_trunkline"))
            .arg("--state")
            .arg(self.state())
            .args(arguments)
            .current_dir(self.repository())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Starts the run, kills and resumes it until it has ended or `kills_max` kills are done; gives how
    /// many there were.
    fn run_with_kills(&mut self, random: &mut fastrand::Rng, kills_max: usize) -> usize {
        let started = Instant::now();
        let mut engine = self.trunkline(&["run", "kill", "--jobs", "4"]);
        let mut kills = 0;
        loop {
            assert!(started.elapsed() < PATIENCE, "the run does not come to an end");
            let life = Duration::from_millis(random.u64(20..1200));
            let is_last = kills == kills_max;
            if let Some(status) = wait_for(&mut engine, if is_last { PATIENCE } else { life }) {
                // The run fails as one of its stages does; anything else is a fault of ours, but for
                // a kill that came before the run was stored.
                if status == 1 {
                    return kills;
                }
                assert!(kills > 0, "exit code {status} without a kill");
                engine = self.trunkline(&["run", "kill", "--jobs", "4"]);
                continue;
            }
            assert!(!is_last, "the run does not come to an end");
            engine.kill().unwrap();
            engine.wait().unwrap();
            kills += 1;
            engine = if self.has_run() {
                self.trunkline(&["resume", "--jobs", "4"])
            } else {
                self.trunkline(&["run", "kill", "--jobs", "4"])
            };
        }
    }

    fn has_run(&self) -> bool {
        self.state().join("state.db").exists() && self.load().is_some()
    }

    fn load(&self) -> Option<LoadedRun> {
        block_on(async {
            let url = format!("sqlite:{}", self.state().join("state.db").display());
            let runs = Runs::new(Store::open(&url).await.ok()?);
            let filter = RunFilter { limit: 2, ..RunFilter::default() };
            let rows = runs.store().list_runs(&filter).await.ok()?;
            assert!(rows.len() <= 1, "one run was asked for");
            let row = rows.first()?;
            Some(runs.load(&row.id).await.unwrap())
        })
    }

    fn check(&self, seed: u64) {
        let loaded = self.load().unwrap();
        assert_eq!(loaded.run.status(), RunStatus::Failed, "seed {seed}");
        let stages = expected(self.shape);
        let mut told = BTreeMap::new();
        for (index, stage) in stages.iter().enumerate() {
            let place = StageIndex(u32::try_from(index).unwrap());
            let state = loaded.run.stage(place).unwrap();
            assert_eq!(state.status, stage.status, "seed {seed}: stage {}", stage.name);
            assert_eq!(state.attempts.len(), stage.attempts, "seed {seed}: stage {}", stage.name);
            for attempt in 1..=stage.attempts {
                let name = AttemptName {
                    run: loaded.row.id.clone(),
                    stage: place,
                    attempt: u32::try_from(attempt).unwrap(),
                };
                assert_eq!(self.log(&name), expected_log(&stage.name), "seed {seed}: log of {name}");
            }
            if stage.attempts > 0 {
                told.insert(stage.name.clone(), stage.attempts);
            }
        }
        assert_eq!(self.witness.heard(), told, "seed {seed}: each step runs exactly once an attempt");
        let instance = std::fs::read_to_string(self.state().join("instance")).unwrap();
        let kept = docker::things_of(instance.trim());
        assert!(kept.is_empty(), "seed {seed}: left over: {kept:?}");
    }

    fn log(&self, name: &AttemptName) -> String {
        block_on(async {
            let logs = Logs::open(&self.state().join("logs")).unwrap();
            let reader = logs.reader(name).await.unwrap();
            let mut text = Vec::new();
            loop {
                let piece = reader.read_at(text.len() as u64, 1 << 20).await.unwrap();
                if piece.is_empty() {
                    return String::from_utf8(text).unwrap();
                }
                text.extend(piece);
            }
        })
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn wait_for(engine: &mut Child, patience: Duration) -> Option<i32> {
    let started = Instant::now();
    while started.elapsed() < patience {
        if let Some(status) = engine.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// How a stage must end.
struct Expected {
    name: String,
    status: StageStatus,
    attempts: usize,
}

/// Stages by number: each needs some of those before it, chosen by `shape`. Stage 10 fails twice (one
/// retry), stage 20 fails and is allowed to; what follows from stage 10 is skipped.
fn needs(shape: u64) -> Vec<Vec<usize>> {
    let mut random = fastrand::Rng::with_seed(shape);
    (0..STAGES)
        .map(|stage| {
            let count = if stage == 0 { 0 } else { random.usize(0..=2.min(stage)) };
            let mut needs: Vec<_> = (0..count).map(|_| random.usize(..stage)).collect();
            needs.sort_unstable();
            needs.dedup();
            needs
        })
        .collect()
}

fn expected(shape: u64) -> Vec<Expected> {
    let mut stages: Vec<Expected> = Vec::new();
    for (stage, needs) in needs(shape).iter().enumerate() {
        let is_blocked = needs.iter().any(|need| {
            let need = &stages[*need];
            need.status == StageStatus::Skipped || need.name == "s10"
        });
        let (status, attempts) = match stage {
            _ if is_blocked => (StageStatus::Skipped, 0),
            10 => (StageStatus::Failed, 2),
            20 => (StageStatus::Failed, 1),
            _ => (StageStatus::Passed, 1),
        };
        stages.push(Expected { name: format!("s{stage}"), status, attempts });
    }
    stages
}

fn pipeline(shape: u64, gateway: &str, port: u16) -> String {
    let mut text = String::from("version: 1\nname: kill\non: { push: {} }\ndefaults: { image: \"busybox:stable\" }\nstages:\n");
    for (stage, needs) in needs(shape).iter().enumerate() {
        let needs: Vec<_> = needs.iter().map(|need| format!("s{need}")).collect();
        let extra = match stage {
            10 => "    retry: { max: 1, on: [user] }\n",
            20 => "    allow_failure: { reason: \"part of the test\" }\n",
            _ => "",
        };
        let end = if stage == 10 || stage == 20 { "exit 3" } else { "true" };
        let pause = (shape >> (stage % 32)) % 4;
        text += &format!(
            "  s{stage}:\n    needs: [{}]\n{extra}    steps:\n      - run: |\n          echo s{stage} | nc {gateway} {port}\n          i=0; while [ $i -lt {LINES} ]; do echo \"s{stage} line $i\"; i=$((i+1)); done\n          sleep 0.{pause}\n          {end}\n",
            needs.join(", ")
        );
    }
    text
}

fn expected_log(stage: &str) -> String {
    (0..LINES).map(|line| format!("{stage} line {line}\n")).collect()
}

/// A listener outside that counts who called.
struct Witness {
    port: u16,
    heard: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Witness {
    fn start() -> Self {
        let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let ears = heard.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut name = String::new();
                if stream.read_to_string(&mut name).is_ok() {
                    *ears.lock().unwrap().entry(name.trim().to_owned()).or_default() += 1;
                }
            }
        });
        Self { port, heard }
    }

    fn heard(&self) -> BTreeMap<String, usize> {
        self.heard.lock().unwrap().clone()
    }
}

//! `kill -9` of the engine at random instants over real Docker runs, restarted each time: every run ends
//! as it would have, no step runs twice, no event and no byte of a log is lost, nothing is left over.
//!
//! `KILLS` says how often it is killed in all (10 without), `KILL_SEED` repeats a failed history.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use trunkline::model::{AttemptName, RunStatus, StageStatus};

use crate::bench::{Bench, place, setting};
use crate::docker;
use crate::witness::Witness;

/// Stages of each run.
const STAGES: usize = 30;
/// Lines that each stage prints.
const LINES: usize = 200;
/// The longest a run may take, kills included.
const PATIENCE: Duration = Duration::from_mins(5);

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
        let world = World::new(random.u64(..));
        let of_this_run = world.run_with_kills(&mut random, kills - done);
        eprintln!("a run of {STAGES} stages ended after {of_this_run} kills");
        done += of_this_run;
        world.check(seed);
    }
}

/// One run with everything around it.
struct World {
    bench: Bench,
    witness: Witness,
    shape: u64,
}

impl World {
    fn new(shape: u64) -> Self {
        let witness = Witness::start();
        let text = pipeline(shape, &docker::gateway(), witness.port);
        Self { bench: Bench::new().file("pipelines/kill.yml", &text), witness, shape }
    }

    fn trunkline(&self, arguments: &[&str]) -> Child {
        let mut command = self.bench.command(arguments);
        command.args(["--jobs", "4"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Starts the run, kills and resumes it until it has ended or `kills_max` kills are done; gives how
    /// many there were.
    fn run_with_kills(&self, random: &mut fastrand::Rng, kills_max: usize) -> usize {
        let started = Instant::now();
        let mut engine = self.trunkline(&["run", "kill"]);
        let mut kills = 0;
        loop {
            assert!(started.elapsed() < PATIENCE, "the run does not come to an end");
            let life = Duration::from_millis(random.u64(20..1200));
            let is_last = kills == kills_max;
            match wait_for(&mut engine, if is_last { PATIENCE } else { life }) {
                // The run fails as one of its stages does; anything else is a fault of ours.
                Some(1) => return kills,
                Some(status) => panic!("exit code {status}"),
                None => assert!(!is_last, "the run does not come to an end"),
            }
            engine.kill().unwrap();
            engine.wait().unwrap();
            kills += 1;
            // By its number, as the exit code of a run that has ended already counts too.
            engine =
                self.trunkline(if self.has_run() { &["resume", "1"] } else { &["run", "kill"] });
        }
    }

    fn has_run(&self) -> bool {
        self.bench.state().join("state.db").exists() && self.bench.last_run().is_some()
    }

    fn check(&self, seed: u64) {
        let loaded = self.bench.last_run().unwrap();
        assert_eq!(loaded.row.number, 1, "seed {seed}: one run was asked for");
        assert_eq!(loaded.run.status(), RunStatus::Failed, "seed {seed}");
        let mut told = BTreeMap::new();
        for (index, stage) in expected(self.shape).iter().enumerate() {
            let state = loaded.run.stage(place(index)).unwrap();
            assert_eq!(state.status, stage.status, "seed {seed}: stage {}", stage.name);
            let outcomes: Vec<_> = state.attempts.iter().map(|it| &it.outcome).collect();
            let name = &stage.name;
            assert_eq!(outcomes.len(), stage.attempts, "seed {seed}: stage {name}: {outcomes:?}");
            for attempt in (1..).take(stage.attempts) {
                let name = AttemptName { run: loaded.row.id.clone(), stage: place(index), attempt };
                let log = self.bench.log_of(&name);
                assert_eq!(log, expected_log(&stage.name), "seed {seed}: log of {name}");
            }
            if stage.attempts > 0 {
                told.insert(stage.name.clone(), stage.attempts);
            }
        }
        assert_eq!(
            self.witness.heard(),
            told,
            "seed {seed}: each step runs exactly once an attempt"
        );
        let left = docker::things_of(&self.bench.instance());
        assert!(left.is_empty(), "seed {seed}: left over: {left:?}");
        let probes = docker::probes_of(&self.bench.state());
        assert!(probes.is_empty(), "seed {seed}: left over: {probes:?}");
        let folders = self.bench.attempt_folders();
        assert!(folders.is_empty(), "seed {seed}: left over: {folders:?}");
    }
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
    let mut text = String::from(
        "version: 1\nname: kill\non: { push: {} }\ndefaults: { image: \"busybox:stable\" }\nstages:\n",
    );
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

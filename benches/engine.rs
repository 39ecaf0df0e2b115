//! What the pure engine costs, and that it grows with the graph and not faster: whole runs are decided
//! and applied, of chains, fans and random layers. `cargo bench --bench engine`
//!
//! The driver does what a worker would: it asks what is wanted after every event, starts what may
//! start, and looks at a few containers to prepare. Each attempt has one step and passes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use trunkline::engine::{AttemptOutcome, Command, Run, Wanted};
use trunkline::model::{AttemptName, Milliseconds, RunId, StageIndex, Timestamp};
use trunkline::pipeline::plan::{
    ContainerWork, Network, Plan, PlannedNeed, PlannedStage, Program, PullPolicy, Resources,
    RetryPolicy, Step, Work,
};
use trunkline::pipeline::{Context, Template};

/// Attempts at the same time.
const SLOTS: usize = 8;
/// Containers created before their turn.
const LOOK_AHEAD: usize = 4;

fn main() {
    println!(
        "{:<8} {:>8} {:>10} {:>10} {:>10} {:>12}",
        "graph", "stages", "events", "new", "whole run", "each stage"
    );
    for (name, needs) in [
        ("chain", chain as fn(u32) -> Vec<u32>),
        ("fan", fan),
        ("layers", layers),
        ("skips", chain),
    ] {
        for count in [1_000, 10_000, 100_000] {
            let plan = Arc::new(plan(count, needs));
            let context = Arc::new(Context::default());
            let began = Instant::now();
            let mut run = Run::new(RunId("bench".to_owned()), plan, context);
            let new = began.elapsed();
            let events = if name == "skips" { fail_first(&mut run) } else { live(&mut run) };
            report(name, count, events, (new, began.elapsed()));
            assert!(run.status().is_finished());
        }
    }
}

fn report(name: &str, count: u32, events: usize, (new, whole): (Duration, Duration)) {
    let each = whole / count;
    println!("{name:<8} {count:>8} {events:>10} {new:>10.1?} {whole:>10.1?} {each:>12.2?}");
}

/// Drives a run to its end and gives the number of events.
fn live(run: &mut Run) -> usize {
    let mut events = order(
        run,
        &Command::TakeLease { epoch: 1, owner: "bench".to_owned(), instance: String::new() },
    );
    let mut running = VecDeque::new();
    loop {
        let (mut starts, mut prepared) = (Vec::new(), 0);
        for wanted in run.wanted(Timestamp(0)) {
            match wanted {
                Wanted::Start(stage) if running.len() + starts.len() < SLOTS => starts.push(stage),
                Wanted::Prepare(_) if prepared < LOOK_AHEAD => prepared += 1,
                Wanted::Start(_) | Wanted::Prepare(_) => break,
                Wanted::Attempt(_)
                | Wanted::Stop(_)
                | Wanted::Kill(_)
                | Wanted::Slot(_)
                | Wanted::Admission
                | Wanted::WakeAt(_) => (),
            }
        }
        for stage in starts {
            events += order(run, &Command::StartAttempt { stage, epoch: 1 });
            running.push_back(stage);
        }
        let Some(stage) = running.pop_front() else { return events };
        events += finish(run, stage, AttemptOutcome::default());
    }
}

/// Fails the first stage of a chain: all others are skipped in one decision.
fn fail_first(run: &mut Run) -> usize {
    let mut events = order(
        run,
        &Command::TakeLease { epoch: 1, owner: "bench".to_owned(), instance: String::new() },
    );
    events += order(run, &Command::StartAttempt { stage: StageIndex(0), epoch: 1 });
    let outcome = AttemptOutcome::failed(trunkline::model::FailureClass::User, "exit code 1");
    events + finish(run, StageIndex(0), outcome)
}

fn finish(run: &mut Run, stage: StageIndex, outcome: AttemptOutcome) -> usize {
    let attempt = AttemptName { run: run.id().clone(), stage, attempt: 1 };
    let (step, epoch) = (0, 1);
    order(run, &Command::StartStep { attempt: attempt.clone(), step, epoch })
        + order(run, &Command::FinishStep { attempt: attempt.clone(), step, exit_code: 0, epoch })
        + order(run, &Command::FinishAttempt { attempt, outcome, epoch })
}

fn order(run: &mut Run, command: &Command) -> usize {
    let events = run.decide(command, Timestamp(0)).unwrap();
    for event in &events {
        run.apply(event, Timestamp(0));
    }
    events.len()
}

fn chain(place: u32) -> Vec<u32> {
    place.checked_sub(1).into_iter().collect()
}

/// One stage, which all others wait for.
fn fan(place: u32) -> Vec<u32> {
    if place == 0 { Vec::new() } else { vec![0] }
}

/// Layers of a hundred stages; each stage waits for three of the layer before.
fn layers(place: u32) -> Vec<u32> {
    let mut random = fastrand::Rng::with_seed(u64::from(place));
    match (place / 100).checked_sub(1) {
        Some(layer) => (0..3).map(|_| layer * 100 + random.u32(0..100)).collect(),
        None => Vec::new(),
    }
}

fn plan(count: u32, needs: fn(u32) -> Vec<u32>) -> Plan {
    let stages = (0..count).map(|place| {
        let needs = needs(place).into_iter().map(StageIndex);
        stage(place, needs.map(|stage| PlannedNeed { stage, optional: false }).collect())
    });
    Plan {
        pipeline: "bench".to_owned(),
        team: None,
        timeout: None,
        concurrency: None,
        budget: None,
        release: None,
        stages: stages.collect(),
    }
}

fn stage(place: u32, needs: Vec<PlannedNeed>) -> PlannedStage {
    PlannedStage {
        key: format!("stage-{place}"),
        name: format!("stage-{place}"),
        matrix: BTreeMap::new(),
        needs,
        condition: None,
        work: Work::Container(Box::new(work())),
        env: BTreeMap::new(),
        secrets: Vec::new(),
        retry: RetryPolicy::default(),
        timeout: Milliseconds::from_seconds(900),
        allow_failure: None,
        gates: Vec::new(),
        inputs: None,
        concurrency: None,
        interruptible: true,
        labels: BTreeMap::new(),
        identity: Vec::new(),
        environment: None,
        budget: None,
    }
}

fn work() -> ContainerWork {
    let step = Step {
        name: "true".to_owned(),
        run: "true".to_owned(),
        image: None,
        condition: None,
        timeout: None,
        env: BTreeMap::new(),
    };
    ContainerWork {
        image: Template::literal("busybox"),
        pull: PullPolicy::default(),
        program: Program::Steps(vec![step]),
        user: None,
        read_only: false,
        network: Network::default(),
        resources: Resources::default(),
        services: BTreeMap::new(),
        caches: Vec::new(),
        artifacts: None,
    }
}

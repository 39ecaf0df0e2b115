//! What attempts leave behind: logs, artifacts, outputs, and the ledger of the world.

use trunkline::blobs::Logs;
use trunkline::engine::{Attempt, AttemptOutcome, Event};
use trunkline::model::{AttemptName, StageIndex};
use trunkline::pipeline::plan::Work;
use trunkline::worker::OUTPUT_SECTION;

use super::Told;
use crate::history::History;
use crate::process::logs_of;
use crate::world::Begun;

pub(crate) async fn check(history: &History, told: &Told, wrong: &mut Vec<String>) {
    let names: Vec<_> = history.world.state().ledger.begun.keys().cloned().collect();
    for name in names.into_iter().filter(|it| it.run == *told.id()) {
        let stage = told.loaded.run.stage(name.stage).unwrap();
        let Some(attempt) = stage.attempts.get(name.attempt as usize - 1) else {
            wrong.push(format!("{name} ran and was never started"));
            continue;
        };
        check_ledger(history, &name, attempt, told, wrong);
        let ended_regularly = attempt.outcome.as_ref().is_some_and(|it| it.exit_code.is_some());
        if ended_regularly {
            check_log(history, told, &name, wrong).await;
        }
    }
    check_passed(history, told, wrong);
}

fn check_ledger(
    history: &History,
    name: &AttemptName,
    attempt: &Attempt,
    told: &Told,
    wrong: &mut Vec<String>,
) {
    let state = history.world.state();
    let begun = &state.ledger.begun[name];
    if begun.times != 1 {
        wrong.push(format!("{name} ran {} times", begun.times));
    }
    check_arrivals(name, begun, told, wrong);
    let Some(outcome) = &attempt.outcome else { return };
    if outcome.exit_code.is_some_and(|it| it != begun.play.exit.code) {
        wrong.push(format!("{name} ended with {:?}, not {:?}", outcome, begun.play.exit));
    }
    if outcome.is_passed() {
        check_published(name, begun, outcome, wrong);
    }
    let steps = attempt.steps.values().filter(|it| it.finished.is_some()).count();
    let played = |it: &&trunkline::executor::LogItem| {
        matches!(it, trunkline::executor::LogItem::StepFinished { .. })
    };
    let steps_played = begun.play.items.iter().filter(played).count();
    if outcome.exit_code.is_some() && steps != steps_played {
        wrong.push(format!("{name} ended {steps_played} steps; told: {steps}"));
    }
}

fn check_published(
    name: &AttemptName,
    begun: &Begun,
    outcome: &AttemptOutcome,
    wrong: &mut Vec<String>,
) {
    if begun.play.exit.code != 0 {
        wrong.push(format!("{name} passed with exit code {}", begun.play.exit.code));
    }
    if outcome.outputs.get("made") != Some(&name.slug()) {
        wrong.push(format!("{name} passed without its output"));
    }
    if outcome.metrics.contains_key("score") == begun.play.metrics.is_empty() {
        wrong.push(format!("{name} passed without its metric"));
    }
}

/// The files of each need that passed were there, and of no other attempt than its last.
fn check_arrivals(name: &AttemptName, begun: &Begun, told: &Told, wrong: &mut Vec<String>) {
    let plan = told.loaded.run.plan();
    let before = told.events.iter().take_while(|it| {
        !matches!(it.event, Event::AttemptStarted { stage, attempt, .. }
            if stage == name.stage && attempt == name.attempt)
    });
    let before: Vec<_> = before.map(|it| &it.event).collect();
    for need in &plan.stages[name.stage.as_usize()].needs {
        let expected = latest_outcome(&before, told, need.stage);
        let expected = expected.and_then(|(maker, outcome)| {
            (!outcome.artifacts.is_empty()).then(|| maker.slug().into_bytes())
        });
        let path = format!("out-{}/made-by", plan.stages[need.stage.as_usize()].key);
        if begun.arrived.get(&path) != expected.as_ref() {
            let arrived = begun.arrived.get(&path).map(|it| String::from_utf8_lossy(it));
            let expected = expected.as_deref().map(String::from_utf8_lossy);
            wrong.push(format!("{name} found {arrived:?} in `{path}`, not {expected:?}"));
        }
    }
}

/// What stands for a stage after these events, and who made it.
fn latest_outcome<'a>(
    events: &[&'a Event],
    told: &Told,
    wanted: StageIndex,
) -> Option<(AttemptName, &'a AttemptOutcome)> {
    let mut latest = None;
    for event in events {
        match event {
            Event::AttemptFinished { stage, attempt, outcome } if *stage == wanted => {
                let run = told.id().clone();
                latest = Some((AttemptName { run, stage: *stage, attempt: *attempt }, outcome));
            }
            Event::StageReused { stage, from, outcome } if *stage == wanted => {
                latest = Some((from.clone(), outcome));
            }
            Event::RerunRequested { stages, .. } if stages.contains(&wanted) => latest = None,
            _ => (),
        }
    }
    latest
}

/// A stage that passed has an attempt that ran, and the artifacts it declares.
fn check_passed(history: &History, told: &Told, wrong: &mut Vec<String>) {
    let state = history.world.state();
    for (index, stage) in told.loaded.run.stages() {
        let Work::Container(work) = &told.loaded.run.plan().stages[index.as_usize()].work else {
            continue;
        };
        for (number, attempt) in (1..).zip(&stage.attempts) {
            let name = AttemptName { run: told.id().clone(), stage: index, attempt: number };
            let Some(outcome) = attempt.outcome.as_ref().filter(|it| it.is_passed()) else {
                continue;
            };
            if !state.ledger.begun.contains_key(&name) {
                wrong.push(format!("{name} passed and never ran"));
            }
            let declared = work.artifacts.as_ref().map_or(0, |it| it.paths.len());
            if outcome.artifacts.len() != declared {
                wrong.push(format!("{name} passed without its artifacts"));
            }
        }
    }
}

/// The log of an attempt has every byte that it printed, once and in order.
async fn check_log(history: &History, told: &Told, name: &AttemptName, wrong: &mut Vec<String>) {
    let printed = history.world.state().ledger.begun[name].play.printed();
    let Some(owner) = owner_at_end(told, name) else { return };
    let logs = Logs::open(&logs_of(&history.folder, owner)).unwrap();
    let reader = logs.reader(name).await.unwrap();
    let sections = reader.sections().await.unwrap();
    let Some(output) = sections.iter().find(|it| it.step == OUTPUT_SECTION) else {
        return wrong.push(format!("{name} has no output"));
    };
    let stored = reader.read_at(output.offset, 1 << 20).await.unwrap();
    if stored != printed.as_bytes() {
        let stored = String::from_utf8_lossy(&stored);
        wrong.push(format!("{name} has the log\n{stored}--- and not\n{printed}---"));
    }
    if !reader.extent().await.unwrap().is_complete {
        wrong.push(format!("the log of {name} is not marked as complete"));
    }
}

/// Who had the run when the attempt ended.
fn owner_at_end<'a>(told: &'a Told, name: &AttemptName) -> Option<&'a str> {
    let mut last = None;
    for stored in &told.events {
        match &stored.event {
            Event::LeaseTaken { owner, .. } => last = Some(owner.as_str()),
            Event::AttemptFinished { stage, attempt, .. }
                if (*stage, *attempt) == (name.stage, name.attempt) =>
            {
                return last;
            }
            _ => (),
        }
    }
    None
}

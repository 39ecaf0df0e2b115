//! The order of events inside of one run.

use std::collections::{BTreeMap, BTreeSet};

use trunkline::engine::{Event, SkipReason};
use trunkline::model::StageIndex;
use trunkline::pipeline::plan::Work;

use super::Told;
use crate::machine::REPLACED;

/// What has happened since the run began, or began again.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Round {
    finished: BTreeSet<StageIndex>,
    attempts: BTreeMap<StageIndex, u32>,
    has_started: bool,
    is_halted_early: bool,
    is_forced: bool,
    is_over: bool,
}

pub(crate) fn check(told: &Told, wrong: &mut Vec<String>) {
    let mut round = Round::default();
    let mut open = BTreeSet::new();
    let mut steps = BTreeSet::new();
    for stored in &told.events {
        if round.is_over
            && !matches!(stored.event, Event::LeaseTaken { .. } | Event::RerunRequested { .. })
        {
            wrong.push(format!("{:?} after the end", stored.event));
        }
        match &stored.event {
            Event::RunStarted => round.has_started = true,
            Event::AttemptStarted { stage, attempt, .. } => {
                check_start(told, &mut round, *stage, wrong);
                open.insert((*stage, *attempt));
            }
            Event::AttemptFinished { stage, attempt, outcome } => {
                if outcome.message.contains(REPLACED) {
                    wrong.push(format!("attempt {attempt} of {stage:?} has an answer of the past"));
                }
                if !open.remove(&(*stage, *attempt)) {
                    wrong.push(format!("attempt {attempt} of {stage:?} ended twice"));
                }
            }
            Event::StepStarted { stage, attempt, step } => {
                let is_new = steps.insert((*stage, *attempt, *step));
                if !is_new || !open.contains(&(*stage, *attempt)) {
                    wrong.push(format!("step {step} of {stage:?} began out of order"));
                }
            }
            Event::StageFinished { stage, .. } | Event::StageReused { stage, .. } => {
                round.finished.insert(*stage);
            }
            Event::StageSkipped { stage, reason } => {
                round.finished.insert(*stage);
                if is_always(told, *stage) && !matches!(reason, SkipReason::Outdated { .. }) {
                    wrong.push(format!("{stage:?} should always run and was skipped"));
                }
            }
            Event::CancelRequested { force, .. } => {
                round.is_halted_early |= !round.has_started;
                round.is_forced |= *force;
            }
            Event::RunTimedOut => round.is_forced = true,
            Event::RunFinished { .. } => {
                check_always(told, &round, wrong);
                round.is_over = true;
            }
            Event::RerunRequested { stages, .. } => {
                round = Round { finished: std::mem::take(&mut round.finished), ..Round::default() };
                round.finished.retain(|it| !stages.contains(it));
            }
            _ => (),
        }
    }
    if !open.is_empty() {
        wrong.push(format!("{open:?} never ended"));
    }
}

fn check_start(told: &Told, round: &mut Round, stage: StageIndex, wrong: &mut Vec<String>) {
    let planned = &told.loaded.run.plan().stages[stage.as_usize()];
    for before in all_before(told, stage).difference(&round.finished) {
        wrong.push(format!("{stage:?} began before {before:?} had ended"));
    }
    let made = round.attempts.entry(stage).or_default();
    *made += 1;
    if *made > planned.retry.max + 1 {
        wrong.push(format!("{stage:?} had {made} attempts; allowed: {}", planned.retry.max + 1));
    }
}

/// Its needs, theirs, and so on.
fn all_before(told: &Told, stage: StageIndex) -> BTreeSet<StageIndex> {
    let (mut before, mut todo) = (BTreeSet::new(), vec![stage]);
    while let Some(stage) = todo.pop() {
        let needs = told.loaded.run.plan().stages[stage.as_usize()].needs.iter();
        todo.extend(needs.map(|it| it.stage).filter(|it| before.insert(*it)));
    }
    before
}

fn is_always(told: &Told, stage: StageIndex) -> bool {
    let planned = &told.loaded.run.plan().stages[stage.as_usize()];
    planned.condition.as_ref().is_some_and(|it| it.source() == "always()")
}

/// What must always run did, unless somebody insisted.
fn check_always(told: &Told, round: &Round, wrong: &mut Vec<String>) {
    if round.is_forced || round.is_halted_early {
        return;
    }
    let is_rerun = told.events.iter().any(|it| matches!(it.event, Event::RerunRequested { .. }));
    for (index, stage) in told.loaded.run.stages() {
        let planned = &told.loaded.run.plan().stages[index.as_usize()];
        let is_container = matches!(planned.work, Work::Container(_));
        let has_run = round.attempts.contains_key(&index) || stage.reused_from.is_some();
        if is_container && is_always(told, index) && !has_run && !is_rerun {
            wrong.push(format!("{index:?} should always run and did not"));
        }
    }
}

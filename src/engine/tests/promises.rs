//! What holds of every run at every moment, whatever has happened to it.

use std::collections::BTreeSet;

use super::world::World;
use crate::engine::{Event, Run, Wanted};
use crate::model::{RunStatus, StageIndex, StageStatus};
use crate::pipeline::Expression;

/// Checks the promises after `events`, which have just been applied.
pub(super) fn check(world: &World, events: &[Event]) {
    let run = &world.run;
    assert_eq!(*run, world.replayed(), "replay rebuilds the run");
    for event in events {
        if let Event::AttemptStarted { stage, .. } = event {
            started_in_its_turn(run, *stage);
        }
    }
    for (index, stage) in run.stages() {
        let planned = &run.plan().stages[index.as_usize()];
        let made = stage.present_attempts().len();
        assert!(made <= planned.retry.max as usize + 1, "no more attempts than allowed");
        let open = stage.attempts.iter().filter(|attempt| attempt.finished_at.is_none()).count();
        assert_eq!(open, usize::from(stage.status == StageStatus::Running), "one at a time");
        if open > 0 && planned.concurrency.is_some() {
            assert!(stage.has_slot, "nothing of a group runs without a slot");
        }
        assert!(!(stage.has_slot && stage.status.is_finished()), "what has ended needs no slot");
        assert_eq!(run.waits_for(index).is_none(), stage.status.is_finished());
    }
    the_status_follows_from_the_stages(run);
    what_is_wanted_follows_from_the_stages(world);
}

fn started_in_its_turn(run: &Run, index: StageIndex) {
    starts_after_everything_before_it(run, index);
    let planned = &run.plan().stages[index.as_usize()];
    let overrides = planned.condition.as_ref().is_some_and(Expression::overrides_needs);
    for need in &planned.needs {
        let stage = run.stage(need.stage).unwrap();
        let is_fine = stage.status == StageStatus::Passed
            || (stage.status == StageStatus::Failed && stage.allowed)
            || (stage.status == StageStatus::Skipped && need.optional);
        assert!(is_fine || overrides, "a stage never starts after a need that ended badly");
    }
}

/// Readiness is counted; here it is looked up.
fn starts_after_everything_before_it(run: &Run, index: StageIndex) {
    let (mut seen, mut todo) = (BTreeSet::new(), vec![index]);
    while let Some(index) = todo.pop() {
        for need in &run.plan().stages[index.as_usize()].needs {
            let has_ended = run.stage(need.stage).unwrap().status.is_finished();
            assert!(has_ended, "a stage never starts before its needs, near and far, have ended");
            if seen.insert(need.stage) {
                todo.push(need.stage);
            }
        }
    }
}

fn the_status_follows_from_the_stages(run: &Run) {
    let is = |status| run.stages().any(|(_, stage)| stage.status == status);
    let is_over = run.stages().all(|(_, stage)| stage.status.is_finished());
    assert_eq!(run.status().is_finished(), is_over, "a run ends with its last stage");
    assert_eq!(run.times().1.is_some(), is_over);
    match run.status() {
        RunStatus::Passed => {
            assert!(run.failed_stages().next().is_none() && !is(StageStatus::Cancelled));
        }
        RunStatus::Waiting => {
            assert!(is(StageStatus::Waiting));
            assert!(!is(StageStatus::Running) && !is(StageStatus::Ready));
        }
        RunStatus::Queued => assert_eq!(run.times().0, None),
        RunStatus::Cancelled | RunStatus::Failed | RunStatus::Cancelling | RunStatus::Running => {}
    }
}

/// The indexes behind `wanted` against a look at every stage.
fn what_is_wanted_follows_from_the_stages(world: &World) {
    let run = &world.run;
    let wanted: Vec<_> = run.wanted(world.now).collect();
    if run.status().is_finished() {
        assert_eq!(wanted, [], "nothing is wanted of a finished run");
        return;
    }
    assert!(run.epoch() == 0 || !wanted.is_empty(), "a run never stands still");
    let in_status = |status| {
        let found = run.stages().filter(move |(_, stage)| stage.status == status);
        found.map(|(index, _)| index).collect::<BTreeSet<_>>()
    };
    let (mut attempts, mut ready, mut stopping) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for wanted in &wanted {
        assert!(match wanted {
            Wanted::Attempt(name) => attempts.insert(name.stage),
            Wanted::Start(stage) | Wanted::Slot(stage) => ready.insert(*stage),
            Wanted::Stop(name) | Wanted::Kill(name) => stopping.insert(name.stage),
            Wanted::Admission | Wanted::WakeAt(_) | Wanted::Prepare(_) => true,
        });
    }
    assert_eq!(attempts, in_status(StageStatus::Running), "every attempt under way is wanted");
    assert_eq!(ready, in_status(StageStatus::Ready), "every ready stage is wanted to start");
    let asked = run.stages().filter(|(_, stage)| {
        stage.open_attempt().is_some_and(|(_, attempt)| attempt.stop.is_some())
    });
    assert_eq!(stopping, asked.map(|(index, _)| index).collect(), "what was asked to stop stops");
}

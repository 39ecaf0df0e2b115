//! What must be true of every history, whatever has happened in it.

#![expect(clippy::wildcard_enum_match_arm, reason = "each check is about a few kinds of events")]

use trunkline::engine::Event;
use trunkline::model::{Milliseconds, RunId, Timestamp};
use trunkline::runs::{LoadedRun, Runs};
use trunkline::store::events::StoredEvent;

use crate::history::History;
use crate::oracle::foretell;

mod course;
mod groups;
mod remains;

/// A run as it is stored at the end.
pub(crate) struct Told {
    pub(crate) loaded: LoadedRun,
    pub(crate) events: Vec<StoredEvent>,
}

impl Told {
    pub(crate) fn id(&self) -> &RunId {
        &self.loaded.row.id
    }

    /// When the first such event happened.
    pub(crate) fn first(&self, is_it: impl Fn(&Event) -> bool) -> Option<Timestamp> {
        self.events.iter().find(|it| is_it(&it.event)).map(|it| it.at)
    }
}

/// Everything that is wrong goes into the ledger.
pub(crate) async fn check(history: &History) {
    let runs = Runs::new(history.store.clone());
    let mut all = Vec::new();
    for id in &history.runs {
        let loaded = runs.load(id).await.unwrap();
        let events = history.store.list_events(id, 0).await.unwrap();
        all.push(Told { loaded, events });
    }
    for told in &all {
        count(history, told);
        let mut wrong = Vec::new();
        check_row(history, told, &mut wrong);
        if history.is_calm {
            check_prophecy(history, told, &mut wrong);
        }
        course::check(told, &mut wrong);
        check_cancel(history, told, &mut wrong);
        remains::check(history, told, &mut wrong).await;
        for what in wrong {
            history.world.blame(format!("{}: {what}", told.id()));
        }
    }
    for what in groups::check(&all, history.is_calm) {
        history.world.blame(what);
    }
}

/// What the history had to offer.
fn count(history: &History, told: &Told) {
    let mut state = history.world.state();
    for stored in &told.events {
        match &stored.event {
            Event::LeaseTaken { .. } => state.ledger.seen.drivers += 1,
            Event::AnswerIgnored { .. } => state.ledger.seen.late_answers += 1,
            Event::RetryScheduled { .. } => state.ledger.seen.retries += 1,
            Event::CancelRequested { .. } => state.ledger.seen.cancels += 1,
            Event::StageReused { .. } => state.ledger.seen.reused += 1,
            Event::RerunRequested { .. } => state.ledger.seen.reruns += 1,
            _ => (),
        }
    }
    state.ledger.seen.runs += 1;
}

/// The row follows the events, and nobody has the run any more.
fn check_row(history: &History, told: &Told, wrong: &mut Vec<String>) {
    let (row, run) = (&told.loaded.row, &told.loaded.run);
    if !run.status().is_finished() {
        wrong.push(format!("it is {} at the end", run.status()));
    }
    if row.status != run.status() || row.finished_at != run.times().1 {
        wrong.push("its row is not what its events say".to_owned());
    }
    let is_gapless = (0..).zip(&told.events).all(|(seq, event)| event.seq == seq);
    if !is_gapless || row.events != i64::try_from(told.events.len()).unwrap() {
        wrong.push("events are missing, or counted wrong".to_owned());
    }
    let is_alive = !history.world.state().ledger.dead.contains(&row.lease_owner);
    if !row.lease_owner.is_empty() && is_alive {
        wrong.push(format!("`{}` still has the lease", row.lease_owner));
    }
}

fn check_prophecy(history: &History, told: &Told, wrong: &mut Vec<String>) {
    let run = &told.loaded.run;
    let (status, stages) = foretell(run.plan(), history.seed);
    if run.status() != status {
        wrong.push(format!("it {} and should have {status}", run.status()));
    }
    for ((index, stage), foretold) in run.stages().zip(stages) {
        if stage.status != foretold.status || stage.attempts.len() != foretold.attempts {
            wrong.push(format!(
                "stage {}: {} after {} attempts; foretold: {foretold:?}",
                index.0,
                stage.status,
                stage.attempts.len()
            ));
        }
    }
}

/// A cancel ends a run in bounded time, unless there is something that always runs.
fn check_cancel(history: &History, told: &Told, wrong: &mut Vec<String>) {
    let run = &told.loaded.run;
    let spares = |it: &trunkline::pipeline::PlannedStage| {
        it.condition.as_ref().is_some_and(|it| it.source() == "always()")
    };
    let cancelled = told.first(|it| matches!(it, Event::CancelRequested { .. }));
    let finished = told.first(|it| matches!(it, Event::RunFinished { .. }));
    let (Some(cancelled), Some(finished)) = (cancelled, finished) else { return };
    if run.plan().stages.iter().any(spares) {
        return;
    }
    let is_calm = history.is_calm;
    let bound = if is_calm { Milliseconds(15_000) } else { Milliseconds(180_000) };
    if finished.since(cancelled) > bound {
        wrong.push(format!("it took {:?} to be cancelled", finished.since(cancelled)));
    }
}

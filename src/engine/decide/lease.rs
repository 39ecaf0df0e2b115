//! A driver takes the run over; its concurrency group lets it in. With both, it starts.

use super::decision::Decision;
use super::retry;
use crate::engine::{AttemptOutcome, Event, Refused, Run};
use crate::model::{FailureClass, StageIndex, Timestamp};

/// Who takes a run over.
#[derive(Clone, Copy)]
pub(super) struct Driver<'a> {
    pub(super) epoch: u64,
    pub(super) owner: &'a str,
    pub(super) instance: &'a str,
}

pub(super) fn take(run: &Run, driver: Driver<'_>, now: Timestamp) -> Result<Vec<Event>, Refused> {
    let Driver { epoch, owner, instance } = driver;
    if epoch <= run.epoch {
        return Err(Refused::StaleEpoch);
    }
    let mut decision = Decision::new(run, now);
    let (owner, instance) = (owner.to_owned(), instance.to_owned());
    decision.record(Event::LeaseTaken { epoch, owner, instance: instance.clone() });
    let has_lost_some = lose_attempts(&mut decision, &instance);
    let is_let_in = run.admitted || run.plan().concurrency.is_none();
    if is_let_in && run.started_at.is_none() && run.finished.is_none() {
        decision.start_run();
        return Ok(decision.settle());
    }
    Ok(if has_lost_some { decision.settle() } else { decision.into_events() })
}

/// Ends the attempts that were begun elsewhere: their containers cannot be reached from here, and whoever
/// could has given no sign for the length of a lease, or has handed the run over. True when there were some.
fn lose_attempts(decision: &mut Decision<'_>, instance: &str) -> bool {
    let run = decision.run;
    let is_lost = |of: &str| !of.is_empty() && !instance.is_empty() && of != instance;
    let open = run.agenda.open.iter().filter_map(|stage| {
        let (number, attempt) = run.stage(*stage)?.open_attempt()?;
        is_lost(&attempt.instance).then_some((*stage, number))
    });
    let lost: Vec<_> = open.collect();
    for (stage, attempt) in &lost {
        lose(decision, *stage, *attempt);
    }
    !lost.is_empty()
}

fn lose(decision: &mut Decision<'_>, stage: StageIndex, attempt: u32) {
    let stop = decision.run.stage(stage).and_then(|it| it.open_attempt()?.1.stop.clone());
    let message = "the worker that ran it is gone\n\
         help: `trunkline workers` shows who is there; what the attempt was doing may go on until it is back";
    let (class, message) = match stop {
        Some(stop) => (stop.class, stop.message),
        None => (FailureClass::LostWorker, message.to_owned()),
    };
    let outcome = AttemptOutcome::failed(class, &message);
    decision.record(Event::AttemptFinished { stage, attempt, outcome });
    match retry::retry_at(decision.run, stage, class, decision.now) {
        Some(retry_at) => decision.record(Event::RetryScheduled { stage, retry_at }),
        None => decision.fail(stage, class, None),
    }
}

pub(super) fn admit(run: &Run, now: Timestamp) -> Result<Vec<Event>, Refused> {
    if run.admitted || run.plan().concurrency.is_none() {
        return Err(Refused::Duplicate);
    }
    let mut decision = Decision::new(run, now);
    decision.record(Event::Admitted);
    if run.epoch == 0 {
        return Ok(decision.into_events());
    }
    decision.start_run();
    Ok(decision.settle())
}

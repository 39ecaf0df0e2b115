//! A driver takes the run over; its concurrency group lets it in. With both, it starts.

use super::decision::Decision;
use crate::engine::{Event, Refused, Run};
use crate::model::Timestamp;

pub(super) fn take(
    run: &Run,
    epoch: u64,
    owner: &str,
    now: Timestamp,
) -> Result<Vec<Event>, Refused> {
    if epoch <= run.epoch {
        return Err(Refused::StaleEpoch);
    }
    let mut decision = Decision::new(run, now);
    decision.record(Event::LeaseTaken { epoch, owner: owner.to_owned() });
    let is_let_in = run.admitted || run.plan().concurrency.is_none();
    if is_let_in && run.started_at.is_none() && run.finished.is_none() {
        decision.start_run();
        return Ok(decision.settle());
    }
    Ok(decision.into_events())
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

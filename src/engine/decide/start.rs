//! What happens before and at the start of an attempt or a step.

use super::decision::Decision;
use super::finish::missed_gates;
use crate::engine::run::Attempt;
use crate::engine::{AttemptOutcome, Event, Refused, Run, SkipReason, Stage};
use crate::model::{AttemptName, StageIndex, StageStatus, Timestamp};

pub(super) fn grant_slot(run: &Run, index: StageIndex) -> Result<Vec<Event>, Refused> {
    let stage = ready(run, index)?;
    if stage.has_slot {
        return Err(Refused::Duplicate);
    }
    if run.planned(index).is_none_or(|planned| planned.concurrency.is_none()) {
        return Err(run.refuse_status(index));
    }
    Ok(vec![Event::SlotGranted { stage: index }])
}

/// Skips a stage that no attempt has been made of: what has begun is not overtaken.
pub(super) fn skip_outdated(
    run: &Run,
    index: StageIndex,
    newer: &str,
    now: Timestamp,
) -> Result<Vec<Event>, Refused> {
    let stage = ready(run, index)?;
    if !stage.present_attempts().is_empty() {
        return Err(run.refuse_status(index));
    }
    let mut decision = Decision::new(run, now);
    let reason = SkipReason::Outdated { newer: newer.to_owned() };
    decision.record(Event::StageSkipped { stage: index, reason });
    Ok(decision.settle())
}

pub(super) fn start_attempt(
    run: &Run,
    index: StageIndex,
    epoch: u64,
) -> Result<Vec<Event>, Refused> {
    if epoch != run.epoch {
        return Err(Refused::StaleEpoch);
    }
    let stage = ready(run, index)?;
    let needs_slot = run.planned(index).is_some_and(|planned| planned.concurrency.is_some());
    if needs_slot && !stage.has_slot {
        return Err(run.refuse_status(index));
    }
    let attempt = u32::try_from(stage.attempts.len() + 1).unwrap_or(u32::MAX);
    Ok(vec![Event::AttemptStarted { stage: index, attempt, epoch }])
}

/// Lets an earlier green result stand for a stage. Its gates are judged anew, as they and their
/// baseline are not part of what makes two attempts the same.
pub(super) fn reuse(
    run: &Run,
    index: StageIndex,
    (from, outcome): (&AttemptName, &AttemptOutcome),
    now: Timestamp,
) -> Result<Vec<Event>, Refused> {
    let stage = ready(run, index)?;
    if !stage.present_attempts().is_empty() {
        return Err(run.refuse_status(index));
    }
    if run.planned(index).is_none_or(|planned| planned.inputs.is_none()) {
        let message = format!("stage `{}` names no `inputs`", run.key(index));
        return Err(Refused::NotReusable(message));
    }
    if !outcome.is_passed() {
        return Err(Refused::NotReusable(format!("attempt `{from}` did not pass")));
    }
    if let Some(missed) = missed_gates(run, index, outcome) {
        return Err(Refused::NotReusable(missed));
    }
    let mut decision = Decision::with_outcome(run, now, index, outcome);
    decision.record(Event::StageReused {
        stage: index,
        from: from.clone(),
        outcome: outcome.clone(),
    });
    decision.pass(index);
    Ok(decision.settle())
}

pub(super) fn start_step(
    run: &Run,
    (name, epoch): (&AttemptName, u64),
    step: u32,
) -> Result<Vec<Event>, Refused> {
    let attempt = find_attempt(run, name)?;
    if epoch != run.epoch {
        return Err(Refused::StaleEpoch);
    }
    if attempt.steps.contains_key(&step) {
        return Err(Refused::Duplicate);
    }
    if attempt.finished_at.is_some() {
        return Err(run.refuse_status(name.stage));
    }
    Ok(vec![Event::StepStarted { stage: name.stage, attempt: name.attempt, step }])
}

/// The attempt with this name, under way or not.
pub(super) fn find_attempt<'a>(run: &'a Run, name: &AttemptName) -> Result<&'a Attempt, Refused> {
    let stage = run.stage(name.stage).ok_or(Refused::NoSuchStage(name.stage.0))?;
    let place = usize::try_from(name.attempt).ok().and_then(|number| number.checked_sub(1));
    let attempt = place.filter(|_| name.run == *run.id()).and_then(|it| stage.attempts.get(it));
    attempt.ok_or_else(|| run.refuse_status(name.stage))
}

fn ready(run: &Run, index: StageIndex) -> Result<&Stage, Refused> {
    let stage = run.stage(index).filter(|stage| stage.status == StageStatus::Ready);
    stage.ok_or_else(|| run.refuse_status(index))
}

//! The end of an attempt or a step: what it is called, whether the gates let it pass, what follows.

use super::GRACE;
use super::decision::Decision;
use super::retry;
use super::start::find_attempt;
use crate::engine::run::Attempt;
use crate::engine::{AttemptOutcome, Event, Refused, Run};
use crate::model::{AttemptName, FailureClass, StageIndex, Timestamp};
use crate::pipeline::expression::judge_gate;

pub(super) fn finish_step(
    run: &Run,
    (name, epoch): (&AttemptName, u64),
    step: u32,
    exit_code: i32,
) -> Result<Vec<Event>, Refused> {
    let attempt = find_attempt(run, name)?;
    if epoch != run.epoch {
        return Err(Refused::StaleEpoch);
    }
    match attempt.steps.get(&step) {
        Some(known) if known.finished.is_some() => Err(Refused::Duplicate),
        Some(_) if attempt.finished_at.is_none() => {
            let (stage, attempt) = (name.stage, name.attempt);
            Ok(vec![Event::StepFinished { stage, attempt, step, exit_code }])
        }
        _ => Err(run.refuse_status(name.stage)),
    }
}

pub(super) fn finish_attempt(
    run: &Run,
    (name, epoch): (&AttemptName, u64),
    outcome: &AttemptOutcome,
    now: Timestamp,
) -> Result<Vec<Event>, Refused> {
    let (stage, number) = (name.stage, name.attempt);
    let attempt = find_attempt(run, name)?;
    // Also when the attempt was given up since: that its driver has answered after all is worth knowing.
    if epoch < run.epoch && run.finished.is_none() {
        return Ok(vec![Event::AnswerIgnored { stage, attempt: number, epoch }]);
    }
    if attempt.finished_at.is_some() {
        return Err(Refused::Duplicate);
    }
    if epoch > run.epoch {
        return Err(Refused::StaleEpoch);
    }
    let judged = judged(run, stage, attempt, outcome);
    let class = judged.class;
    let mut decision = Decision::with_outcome(run, now, stage, outcome);
    decision.record(Event::AttemptFinished { stage, attempt: number, outcome: judged });
    match class {
        None => decision.pass(stage),
        Some(class) if outcome.is_final => decision.fail(stage, class, None),
        Some(class) => match retry::retry_at(run, stage, class, now) {
            Some(retry_at) => decision.record(Event::RetryScheduled { stage, retry_at }),
            None => decision.fail(stage, class, None),
        },
    }
    Ok(decision.settle())
}

/// The outcome as it counts: an attempt that was asked to end has ended for that reason, whatever
/// its exit code; one that passed has passed only if every gate says so.
fn judged(
    run: &Run,
    stage: StageIndex,
    attempt: &Attempt,
    outcome: &AttemptOutcome,
) -> AttemptOutcome {
    let mut judged = outcome.clone();
    if let Some(stop) = &attempt.stop
        && !has_ended_in_time(run, stage, attempt, outcome)
    {
        judged.class = Some(stop.class);
        judged.message.clone_from(&stop.message);
    } else if outcome.is_passed()
        && let Some(missed) = missed_gates(run, stage, outcome)
    {
        judged.class = Some(FailureClass::Gate);
        judged.message = missed;
    }
    judged
}

/// Whether its process had ended by itself before its time was up. Its log may be read, and its files
/// stored, when that time has passed: that is no fault of the process.
fn has_ended_in_time(
    run: &Run,
    stage: StageIndex,
    attempt: &Attempt,
    outcome: &AttemptOutcome,
) -> bool {
    let (Some(stop), Some(ended_at)) = (&attempt.stop, outcome.ended_at) else { return false };
    let span = run.planned(stage).map(|planned| planned.timeout).unwrap_or_default();
    stop.class == FailureClass::Timeout
        && run.halt.is_none()
        && ended_at.plus(GRACE) < stop.kill_at
        && ended_at <= attempt.started_at.plus(span)
}

/// What every gate that is missed has to say, one line for each; `None` when all are passed. Until a
/// run was released there is no baseline, and a metric that is there compares with nothing.
pub(super) fn missed_gates(
    run: &Run,
    stage: StageIndex,
    outcome: &AttemptOutcome,
) -> Option<String> {
    let planned = run.planned(stage).filter(|planned| !planned.gates.is_empty())?;
    let baselines = run.context().baselines.get(&planned.key);
    let mut scope = run.scope(stage);
    scope.metrics.clone_from(&outcome.metrics);
    let mut missed = Vec::new();
    for gate in &planned.gates {
        scope.baseline = baselines.and_then(|metrics| metrics.get(&gate.metric)).copied();
        let is_first = scope.baseline.is_none() && gate.expression.uses_baseline();
        if !(is_first && scope.metrics.contains_key(&gate.metric)) {
            missed.extend(judge_gate(gate, &scope).err());
        }
    }
    (!missed.is_empty()).then(|| missed.join("\n"))
}

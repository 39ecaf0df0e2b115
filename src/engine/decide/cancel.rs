//! Stopping a run, in two phases: first politely and all but what must always run, then at once and
//! that as well.

use super::GRACE;
use super::decision::Decision;
use crate::engine::run::{Halt, Run};
use crate::engine::{Event, Refused};
use crate::model::{FailureClass, StageIndex, StageStatus, Timestamp};

pub(super) fn cancel(
    run: &Run,
    by: &str,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<Event>, Refused> {
    let force = match run.halt {
        None => false,
        Some(Halt::Cancel) => true,
        Some(Halt::Force | Halt::Timeout) => return Err(Refused::Duplicate),
    };
    let mut decision = Decision::new(run, now);
    let (by, reason) = (by.to_owned(), reason.to_owned());
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let message = format!("the run was cancelled by `{by}`{why}");
    decision.record(Event::CancelRequested { by, reason, force });
    decision.halt = Some(if force { Halt::Force } else { Halt::Cancel });
    stop_stages(&mut decision, FailureClass::Cancelled, &message);
    Ok(decision.settle())
}

/// Cancels for the sake of a newer run, once, and only while nothing is under way that must not be
/// interrupted.
pub(super) fn supersede(run: &Run, by: &str, now: Timestamp) -> Result<Vec<Event>, Refused> {
    if run.halt.is_some() {
        return Err(Refused::Duplicate);
    }
    if !run.is_interruptible() {
        return Err(Refused::NotInterruptible);
    }
    cancel(run, by, "a newer run of its concurrency group has taken its place", now)
}

/// Ends what has not begun, and asks what has begun to end; how much is spared, the halt says.
pub(super) fn stop_stages(decision: &mut Decision<'_>, class: FailureClass, message: &str) {
    let run = decision.run;
    for (index, stage) in run.stages() {
        if stage.status.is_finished() || is_spared(decision, index) {
            continue;
        }
        if stage.status == StageStatus::Running {
            stop_attempt(decision, index, class, message);
        } else {
            decision.fail(index, FailureClass::Cancelled, None);
        }
    }
}

/// Asks the attempt under way to end. One that was asked before ends for its first reason, but sooner
/// when the run is cancelled by force: then nothing is waited for.
pub(super) fn stop_attempt(
    decision: &mut Decision<'_>,
    stage: StageIndex,
    class: FailureClass,
    message: &str,
) {
    let is_forced = decision.halt == Some(Halt::Force);
    let kill_at = if is_forced { decision.now } else { decision.now.plus(GRACE) };
    let open = decision.run.stage(stage).and_then(|stage| stage.open_attempt());
    let Some((attempt, open)) = open else { return };
    let (class, message) = match &open.stop {
        None => (class, message),
        Some(stop) if is_forced && kill_at < stop.kill_at => (stop.class, stop.message.as_str()),
        Some(_) => return,
    };
    let message = message.to_owned();
    decision.record(Event::StopRequested { stage, attempt, class, message, kill_at });
}

/// What a first cancel leaves alone: stages that must always run, once there is something they may
/// have to clean up after.
fn is_spared(decision: &Decision<'_>, stage: StageIndex) -> bool {
    let run = decision.run;
    decision.halt == Some(Halt::Cancel)
        && run.started_at.is_some()
        && run.known(stage).is_some_and(|it| it.is_always_run)
}

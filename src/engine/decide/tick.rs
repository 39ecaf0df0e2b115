//! What is due by now.

use super::decision::Decision;
use super::{approval, cancel};
use crate::engine::Event;
use crate::engine::run::{Halt, Limit, Run};
use crate::model::{FailureClass, Milliseconds, StageIndex, Timestamp};

/// Everything that is due; nothing, most of the time.
pub(super) fn tick(run: &Run, now: Timestamp) -> Vec<Event> {
    if run.started_at.is_none() || run.finished.is_some() {
        return Vec::new();
    }
    let mut decision = Decision::new(run, now);
    if run.deadline().is_some_and(|deadline| deadline <= now) {
        time_out_run(&mut decision);
        return decision.settle();
    }
    let is_due = |(until, _): &&(Timestamp, StageIndex)| *until <= now;
    for (_, stage) in run.agenda.limited.iter().take_while(is_due) {
        time_out_attempt(&mut decision, *stage);
    }
    for (_, stage) in run.agenda.delayed.iter().take_while(is_due) {
        decision.record(Event::StageReady { stage: *stage });
    }
    for (_, stage) in run.agenda.waiting.iter().take_while(is_due) {
        approval::time_out(&mut decision, *stage);
    }
    decision.settle()
}

fn time_out_run(decision: &mut Decision<'_>) {
    let span = decision.run.plan().timeout.unwrap_or_default();
    let message = format!("the run took longer than its limit of {}", spell(span));
    decision.record(Event::RunTimedOut);
    decision.halt = Some(Halt::Timeout);
    cancel::stop_stages(decision, FailureClass::Timeout, &message);
}

fn time_out_attempt(decision: &mut Decision<'_>, stage: StageIndex) {
    let run = decision.run;
    let open = run.stage(stage).and_then(|stage| stage.open_attempt());
    let (Some((_, attempt)), Some(planned)) = (open, run.planned(stage)) else { return };
    let limit = Limit::next(attempt, planned);
    let what = match limit.step {
        Some(name) => format!("step `{name}`"),
        None => format!("stage `{}`", planned.key),
    };
    let message = format!("{what} took longer than its limit of {}", spell(limit.span));
    cancel::stop_attempt(decision, stage, FailureClass::Timeout, &message);
}

/// A span as it is written in a pipeline: `1h30m`, `90s` becomes `1m30s`, `1500ms`.
pub(super) fn spell(span: Milliseconds) -> String {
    if span.0 == 0 || !span.0.is_multiple_of(1000) {
        return format!("{}ms", span.0);
    }
    let seconds = span.0 / 1000;
    let parts = [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let written = parts.iter().filter(|(count, _)| *count > 0);
    written.fold(String::new(), |text, (count, unit)| format!("{text}{count}{unit}"))
}

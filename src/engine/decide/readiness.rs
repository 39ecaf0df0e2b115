//! Whether a stage whose needs have all come to their end runs, is skipped, or fails at once.

use crate::engine::event::{Failure, SkipReason};
use crate::engine::run::{Run, Standings};
use crate::model::{FailureClass, StageIndex, StageStatus};
use crate::pipeline::Scope;

/// What becomes of a stage when its turn has come.
#[derive(Debug)]
pub(super) enum Verdict {
    Run,
    Skip(SkipReason),
    Fail(Failure),
}

pub(super) fn verdict<'a>(
    run: &Run,
    standings: &impl Standings,
    stage: StageIndex,
    scope: impl FnOnce() -> Scope<'a>,
) -> Verdict {
    let condition = run.planned(stage).and_then(|planned| planned.condition.as_ref());
    let Some(condition) = condition else {
        return blocking_need(run, standings, stage).map_or(Verdict::Run, Verdict::Skip);
    };
    if !condition.overrides_needs()
        && let Some(reason) = blocking_need(run, standings, stage)
    {
        return Verdict::Skip(reason);
    }
    match condition.evaluate(&scope()) {
        Ok(true) => Verdict::Run,
        Ok(false) => {
            Verdict::Skip(SkipReason::Condition { expression: condition.source().to_owned() })
        }
        Err(error) => {
            let help = error.help.map(|help| format!(" ({help})")).unwrap_or_default();
            let source = condition.source();
            let message = format!("`if: {source}` cannot be judged: {}{help}", error.message);
            Verdict::Fail(Failure { class: FailureClass::User, message })
        }
    }
}

/// The need that keeps a stage from running, if one has ended that way: a failed or cancelled one
/// before a skipped one, then in the order of the file.
pub(in crate::engine) fn blocking_need(
    run: &Run,
    standings: &impl Standings,
    stage: StageIndex,
) -> Option<SkipReason> {
    let needs = run.planned(stage).map(|planned| planned.needs.as_slice()).unwrap_or_default();
    let mut skipped = None;
    for need in needs {
        let Some(standing) = standings.standing(need.stage) else { continue };
        if standing.has_failed() || standing.status == StageStatus::Cancelled {
            return Some(SkipReason::NeedFailed { stage: need.stage });
        }
        if standing.status == StageStatus::Skipped && !need.optional {
            skipped.get_or_insert(SkipReason::NeedSkipped { stage: need.stage });
        }
    }
    skipped
}

//! Whether a failed attempt is tried again, and when.

use crate::engine::Run;
use crate::model::{FailureClass, Milliseconds, StageIndex, Timestamp};

/// The longest wait between two attempts.
const DELAY_MAX: Milliseconds = Milliseconds::from_seconds(600);

/// When the next attempt may start; `None` when there will be none. Attempts are counted since the
/// last re-run, and nothing is tried again in a run that is being stopped.
pub(super) fn retry_at(
    run: &Run,
    stage: StageIndex,
    class: FailureClass,
    now: Timestamp,
) -> Option<Timestamp> {
    let policy = &run.planned(stage)?.retry;
    let made = u32::try_from(run.stage(stage)?.present_attempts().len()).unwrap_or(u32::MAX);
    let is_tried_again = run.halt.is_none() && made <= policy.max && policy.on.contains(&class);
    is_tried_again.then(|| now.plus(delay(policy.delay, made)))
}

/// The wait after this many attempts: it doubles with each.
fn delay(first: Milliseconds, made: u32) -> Milliseconds {
    let factor = 1_u64.checked_shl(made.saturating_sub(1)).unwrap_or(u64::MAX);
    Milliseconds(first.0.saturating_mul(factor)).min(DELAY_MAX)
}

//! What the world should be doing for a run.

use crate::model::{AttemptName, StageIndex, Timestamp};

/// One thing the world should be doing now. Derived from state alone, so it is right after a
/// restart with nothing to replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Ask the run's concurrency group to let it in.
    Admission,
    /// Keep this attempt going: start or adopt its container, follow it, report its end.
    Attempt(AttemptName),
    /// Ask this attempt to end (SIGTERM).
    Stop(AttemptName),
    /// End this attempt by force (SIGKILL).
    Kill(AttemptName),
    /// Ask the stage's concurrency group for a slot.
    Slot(StageIndex),
    /// Start an attempt as soon as there is room.
    Start(StageIndex),
    /// A container for this attempt will be needed soon: create it if there is room.
    Prepare(AttemptName),
    /// Look again at this moment.
    WakeAt(Timestamp),
}

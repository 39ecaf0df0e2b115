//! The life of a run, as a pure state machine: no clock, no I/O, no async.
//!
//! [`Run::decide`] turns a command into facts or refuses it, [`Run::apply`] records a fact, and
//! [`Run::wanted`] says what the world should be doing about it now. Replaying a run's events
//! rebuilds the same run, so a crash loses nothing but time.

pub mod command;
pub mod event;
pub mod outcome;
pub mod run;
pub mod decide;
pub mod wanted;
pub mod share;

#[cfg(test)]
mod tests;

pub use command::{Command, Refused, RerunScope};
pub use decide::GRACE;
pub use event::{Event, Failure, SkipReason};
pub use outcome::{ArtifactRef, AttemptOutcome, TestCounts};
pub use run::{Attempt, Cancellation, Run, Stage, Step, Stop, WaitsFor};
pub use share::{Claim, Shares};
pub use wanted::Wanted;

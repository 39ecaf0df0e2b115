//! The words everything else is written in: ids, moments, digests, statuses, money.
//! No module of ours is imported here; nothing here knows a clock or does I/O.

pub mod access;
pub mod digest;
pub mod failure;
pub mod id;
pub mod money;
pub mod status;
pub mod report;
pub mod time;
pub mod usage;
pub mod trace;
pub mod bidi;

pub use access::{ForgeKind, PersonId, ProjectId, Role, TeamId};
pub use bidi::is_turning;
pub use digest::Digest;
pub use failure::FailureClass;
pub use id::{AttemptName, RunId, StageIndex};
pub use money::{Amount, UsdNanos};
pub use report::{CaseOutcome, FindingLevel};
pub use status::{AttemptStatus, RunStatus, StageStatus};
pub use time::{Clock, Milliseconds, Timestamp};
pub use trace::{CallTrail, SpanId, TraceId, TraceParent};
pub use usage::{Usage, UsageClass};

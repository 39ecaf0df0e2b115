//! What comes in from outside and what goes back: deliveries, refs, schedules and statuses of commits.

pub mod deliveries;
pub mod known_refs;
pub mod schedules;
pub mod statuses;
pub mod access;

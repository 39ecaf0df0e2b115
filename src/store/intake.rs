//! What comes in from outside and what goes back: deliveries, refs, schedules, statuses of commits, and
//! notifications.

pub mod deliveries;
pub mod known_refs;
pub mod looks;
pub mod schedules;
pub mod statuses;
pub mod access;
pub mod subscriptions;
pub mod outbox;
pub mod badges;

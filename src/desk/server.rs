//! What concerns the whole installation: people, the audit log, workers and what waits for them.

pub mod people;
pub mod audit;
pub mod fleet;

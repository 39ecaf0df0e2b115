//! What concerns the whole installation: people, the audit log, workers and what waits for them,
//! budgets and what calls to models cost, and the keys of apps.

pub mod people;
pub mod audit;
pub mod fleet;
pub mod budgets;
pub mod spend;
pub mod app_keys;

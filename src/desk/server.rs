//! What concerns the whole installation: people, the audit log, workers and what waits for them,
//! budgets, what calls to models cost and what happened in them, and the keys of apps.

pub mod people;
pub mod audit;
pub mod fleet;
pub mod money;
pub mod outlook;
pub mod budgets;
pub mod spend;
pub mod traces;
pub mod app_keys;

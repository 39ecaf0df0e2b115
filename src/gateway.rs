//! The LLM gateway: every call to a model routed, metered, held to its budgets, recorded or replayed.
//! What decides (`prices`, `budget`, `route`) is pure; what listens and calls is in `server` and `call`.

pub mod prices;
pub mod budget;
pub mod route;
pub mod keys;
pub mod settings;
pub mod ledger;
pub mod settlement;
pub mod cassette;
pub mod cache;
pub mod guard;
pub mod call;
pub mod server;

#[cfg(test)]
mod tests;

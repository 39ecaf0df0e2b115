//! Trunkline: a CI/CD engine. The modules in reading order, from the ground up; `ARCHITECTURE.md` says
//! who may import whom, and `tests/architecture.rs` holds it.

// Rules for production code only; tests may unwrap and print.
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::unwrap_used
    )
)]

pub mod model;
pub mod metrics;
pub mod pipeline;
pub mod engine;
pub mod config;
pub mod store;
pub mod blobs;
pub mod outgoing;
pub mod source;
pub mod forge;
pub mod executor;
pub mod provider;
pub mod secrets;
pub mod checks;
pub mod gateway;
pub mod capacity;
pub mod backup;
pub mod retention;
pub mod projects;
pub mod runs;
pub mod facts;
pub mod traces;
pub mod notifications;
pub mod triggers;
pub mod auth;
pub mod approvals;
pub mod worker;
pub mod http;
pub mod desk;
pub mod api;
pub mod ui;
pub mod telemetry;
pub mod cli;

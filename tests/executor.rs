//! The contract of executors, held by the fake one, the host and real Docker.

#[path = "executor/attempt.rs"]
mod attempt;
#[path = "executor/world.rs"]
mod world;
#[path = "executor/contract.rs"]
mod contract;
#[path = "executor/shell.rs"]
mod shell;
#[path = "executor/docker.rs"]
mod docker;
#[path = "executor/host.rs"]
mod host;
#[path = "executor/fake.rs"]
mod fake;
#[path = "executor/services.rs"]
mod services;
#[path = "executor/neighbours.rs"]
mod neighbours;

//! The whole binary on real Docker: how stages end, what containers may and get, files, kills of one process
//! and of a fleet, loud logs, large repositories, and the examples.

#[path = "../support/bench.rs"]
mod bench;
#[path = "../support/docker.rs"]
mod docker;
#[path = "../support/models.rs"]
mod models;
#[path = "../support/large.rs"]
mod large;
#[path = "../support/witness.rs"]
mod witness;

mod containers;
mod endings;
mod examples;
mod files;
mod fleet;
mod flow;
mod gateway;
mod kill;
mod logs;
mod repository;

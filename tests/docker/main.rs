//! The whole binary on real Docker: how stages end, what containers may and get, files, kills, loud
//! logs, large repositories, and the examples.

#[path = "../support/bench.rs"]
mod bench;
#[path = "../support/docker.rs"]
mod docker;
#[path = "../support/large.rs"]
mod large;

mod containers;
mod endings;
mod examples;
mod files;
mod flow;
mod kill;
mod logs;
mod repository;

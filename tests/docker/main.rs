//! The whole binary on real Docker: how stages end, what containers may and get, files, and kills;
//! and the examples.

#[path = "../support/bench.rs"]
mod bench;
#[path = "../support/docker.rs"]
mod docker;

mod containers;
mod endings;
mod examples;
mod files;
mod flow;
mod kill;

//! Pages of a server with a long past: how soon they come, how large they are, and what it costs to keep five hundred of
//! them open. `cargo bench --bench pages` (SQLite), `DATABASE=postgres` for the server of `target/test.env`.
//!
//! `BENCH_RUNS` (1,000,000) stored runs; `BENCH_SECONDS` (30) of requests, 20 a second; `BENCH_OPEN` (500) open pages.

mod server {
    pub(crate) mod database;
    #[expect(dead_code, reason = "another benchmark measures them")]
    pub(crate) mod deliveries;
    pub(crate) mod live;
    pub(crate) mod load;
    pub(crate) mod pages;
    #[expect(dead_code, reason = "`server` measures more of it")]
    pub(crate) mod past;
    pub(crate) mod process;
}

use server::database::Database;
use server::process::Server;
use server::{live, load, pages, past};

/// A number from the environment: how much is measured.
#[expect(clippy::disallowed_methods, reason = "benchmarks have no `config`")]
fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(otherwise)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::fresh(folder.path()).await;
    let runs = setting("BENCH_RUNS", 1_000_000);
    println!("database: {}; load before: {}", database.name(), load::of_machine());
    let server = Server::start(folder.path(), &database).await;
    let past = past::fill(&server, &database, runs).await;
    println!("{runs} runs, {} events, {} projects", past.events, past.projects);
    let visitor = pages::Visitor::sign_in(&server).await;
    pages::measure_sizes(&server, &visitor, &past).await;
    pages::measure_times(&server, &visitor, &past, setting("BENCH_SECONDS", 30)).await;
    live::measure(&server, setting("BENCH_OPEN", 500), &past).await;
    println!("load after: {}", load::of_machine());
    drop(server);
    database.remove().await;
}

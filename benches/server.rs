//! A server with a long past: what its lists and pages cost, how fast it takes deliveries, and how soon a
//! push runs. `cargo bench --bench server` (SQLite), `DATABASE=postgres` for the server of `target/test.env`.
//!
//! `BENCH_RUNS` (1,000,000) stored runs with ten events each; `BENCH_SECONDS` (30) of requests, 200 a second;
//! `BENCH_DELIVERIES` (10,000) in a minute.

mod server {
    pub(crate) mod database;
    pub(crate) mod deliveries;
    pub(crate) mod load;
    pub(crate) mod past;
    #[expect(dead_code, reason = "`pages` measures more of it")]
    pub(crate) mod process;
    pub(crate) mod requests;
}

use server::database::Database;
use server::process::Server;
use server::{deliveries, load, past, requests};

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
    requests::measure(&server, &past, setting("BENCH_SECONDS", 30)).await;
    deliveries::measure_intake(&server, setting("BENCH_DELIVERIES", 10_000)).await;
    deliveries::measure_start(&server, &database).await;
    println!(
        "resident memory of the server: {:.1} MiB; load after: {}",
        server.mebibytes(),
        load::of_machine()
    );
    drop(server);
    database.remove().await;
}

//! What the gateway adds to a call, beside its floors in one run: the upstream alone, nginx's `proxy_pass`, ours with
//! everything on (keys, rates, prices, budgets, the ledger on disk; then with traces, too), `LiteLLM`'s proxy. `deploy/gateway-floors` installs the
//! others and starts this; `cargo bench --bench gateway` measures what is there.
//!
//! `BENCH_SECONDS` (5) of each figure, `BENCH_STREAMS` (9,500) open at once, `BENCH_ONLY` names parts: `calls`, `chunks`, `open`.

mod gateway {
    pub(crate) mod calls;
    pub(crate) mod http;
    pub(crate) mod open;
    pub(crate) mod peers;
    pub(crate) mod streams;
    pub(crate) mod table;
    pub(crate) mod upstream;
}

use std::time::Duration;

use gateway::peers::Place;
use gateway::{calls, open, streams, table, upstream};

/// A word from the environment: what is measured, and how much.
#[expect(clippy::disallowed_methods, reason = "benchmarks have no `config`")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|it| !it.is_empty())
}

fn number(name: &str, otherwise: u64) -> u64 {
    setting(name).and_then(|it| it.parse().ok()).unwrap_or(otherwise)
}

fn main() {
    // The upstream of streams is a process of its own: this program again.
    if let Some(address) = setting("BENCH_UPSTREAM") {
        upstream::serve(&address, upstream::Does::Stream);
        return;
    }
    if let Some(address) = setting("BENCH_COLLECTOR") {
        upstream::serve(&address, upstream::Does::Take);
        return;
    }
    let place = Place::new();
    let only = setting("BENCH_ONLY").unwrap_or_default();
    let wants = |part: &str| only.is_empty() || only.split(',').any(|it| it == part);
    let time = Duration::from_secs(number("BENCH_SECONDS", 5));
    println!("load before: {}", table::load_of_machine());
    if wants("calls") {
        calls::measure(&place, time);
    }
    if wants("chunks") {
        streams::measure(&place, time);
    }
    if wants("open") {
        open::measure(&place, number("BENCH_STREAMS", 9500));
    }
    println!("\nload after: {}", table::load_of_machine());
}

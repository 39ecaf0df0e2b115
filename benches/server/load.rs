//! Requests at a fixed rate, whether the answers before have come or not: a slow answer delays nobody's
//! question, so it cannot hide (Gil Tene's "coordinated omission").

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// What came of one question.
pub(crate) struct Sample {
    /// Which of the kinds that were mixed.
    pub(crate) kind: usize,
    /// From the moment when it was due.
    pub(crate) latency: Duration,
    pub(crate) is_good: bool,
}

/// How often, and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) count: u64,
    pub(crate) per_second: f64,
}

/// Asks `ask(n)` at the moments of `pace`; it gives the kind and whether all went well.
pub(crate) async fn play<F>(pace: Pace, ask: impl Fn(u64) -> F) -> Vec<Sample>
where
    F: Future<Output = (usize, bool)> + Send + 'static,
{
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..pace.count {
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let due = begun + Duration::from_secs_f64(n as f64 / pace.per_second);
        tokio::time::sleep_until(due.into()).await;
        let question = ask(n);
        tasks.spawn(async move {
            let (kind, is_good) = question.await;
            Sample { kind, latency: due.elapsed(), is_good }
        });
    }
    tasks.join_all().await
}

/// Prints a row of a table: median, p95, p99, the slowest, and what failed.
pub(crate) fn row<'a>(name: &str, samples: impl Iterator<Item = &'a Sample>) {
    let samples: Vec<_> = samples.collect();
    let mut times: Vec<_> = samples.iter().map(|it| it.latency).collect();
    times.sort();
    let at = |share: usize| {
        let place = (times.len() * share / 100).min(times.len().saturating_sub(1));
        times.get(place).map_or(0.0, |it| it.as_secs_f64() * 1000.0)
    };
    let failed = samples.iter().filter(|it| !it.is_good).count();
    let (median, p95, p99, slowest) = (at(50), at(95), at(99), at(100));
    println!(
        "{name:<44} {:>6} {median:>8.1} {p95:>8.1} {p99:>8.1} {slowest:>8.1} {failed:>7}",
        samples.len()
    );
}

/// The head of such a table.
pub(crate) fn head(title: &str) {
    println!(
        "\n{title:<44} {:>6} {:>8} {:>8} {:>8} {:>8} {:>7}",
        "count", "p50 ms", "p95 ms", "p99 ms", "max ms", "failed"
    );
}

/// What the machine is doing besides: the load of the last minutes.
pub(crate) fn of_machine() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

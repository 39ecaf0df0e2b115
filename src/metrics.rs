//! What this process counts, for `/metrics`. Labels are words of ours, never what somebody has sent: their
//! number is bounded.

mod families;
mod process;
mod watched;

use std::time::Duration;

use prometheus::{Encoder as _, TextEncoder};

use families::METRICS;
pub use families::Metrics;
pub use process::ProcessUse;
pub use watched::{OpenStream, Queue, Unwritten};

/// The media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a database was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAccess {
    /// Read.
    Read,
    /// Write.
    Write,
}

/// What the database knows at the moment of a scrape. All processes on one database say the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stock {
    /// Unfinished runs by status.
    pub runs: Vec<(&'static str, i64)>,
    /// Age of the oldest queued run, in milliseconds; 0 for none.
    pub oldest_queued_milliseconds: i64,
    /// Deliveries that are not processed.
    pub deliveries: i64,
    /// Statuses that a forge has not got.
    pub statuses: i64,
    /// Calls that are made later and have not ended, by state.
    pub queue_items: Vec<(&'static str, i64)>,
}

/// A request was answered. `route` is a template of ours.
pub fn request_answered(route: &str, method: &'static str, status: u16, took: Duration) {
    METRICS.requests.with_label_values(&[route, method, &status.to_string()]).inc();
    METRICS.request_seconds.with_label_values(&[route, method]).observe(took.as_secs_f64());
}

/// A run was made.
pub fn run_created() {
    METRICS.runs_created.inc();
}

/// The first stage of a run may start, so long after it was made.
pub fn run_started(waited: Duration) {
    METRICS.run_wait_seconds.observe(waited.as_secs_f64());
}

/// A run has ended.
pub fn run_finished(status: &'static str) {
    METRICS.runs_finished.with_label_values(&[status]).inc();
}

/// An attempt has ended: `passed`, or the class of its failure.
pub fn attempt_finished(class: &'static str) {
    METRICS.attempts_finished.with_label_values(&[class]).inc();
}

/// A delivery was stored, or was here before (`again`), or does not prove where it comes from (`unproven`).
pub fn delivery_received(forge: &'static str, how: &'static str) {
    METRICS.deliveries_received.with_label_values(&[forge, how]).inc();
}

/// A delivery was looked at: `processed`, `ignored`, `failed`, or `received` for once more later.
pub fn delivery_processed(outcome: &'static str) {
    METRICS.deliveries_processed.with_label_values(&[outcome]).inc();
}

/// A status was tried to be posted: `posted`, `later`, `failed` or `given_up`.
pub fn status_posted(outcome: &'static str) {
    METRICS.status_posts.with_label_values(&[outcome]).inc();
}

/// A call that was made later has ended: `done`, `failed` or `cancelled`.
pub fn queue_item_ended(state: &'static str) {
    METRICS.queue_ended.with_label_values(&[state]).inc();
}

/// Somebody was told of such an end: `sent`, `later` or `failed`.
pub fn queue_webhook(outcome: &'static str) {
    METRICS.queue_webhooks.with_label_values(&[outcome]).inc();
}

/// A copy of a call for a candidate: `answered`, `failed` or `dropped`.
pub fn shadow_copy(outcome: &'static str) {
    METRICS.shadow_copies.with_label_values(&[outcome]).inc();
}

/// A trace was sent, or not.
pub fn trace_exported(outcome: &'static str) {
    METRICS.traces.with_label_values(&[outcome]).inc();
}

/// So many traces of calls to models were `written`, could not be (`failed`), or were too many (`lost`).
pub fn calls_traced(outcome: &'static str, count: u64) {
    METRICS.calls_traced.with_label_values(&[outcome]).inc_by(count);
}

/// So many spans of apps and stages were `written`, could not be (`failed`), or were `refused`.
pub fn spans_received(outcome: &'static str, count: u64) {
    METRICS.spans_received.with_label_values(&[outcome]).inc_by(count);
}

/// So many parts of the ledger were not taken by the database as they are: a row was `changed` or `left_out`, or
/// an `account` was.
pub fn ledger_refused(what: &'static str, count: u64) {
    METRICS.ledger_refused.with_label_values(&[what]).inc_by(count);
}

/// How long the ledger of this process waits to be written; `None` when it does not.
#[must_use]
pub fn ledger_unwritten_for() -> Option<Duration> {
    METRICS.unwritten.longest()
}

/// The database was used.
pub fn store_used(access: StoreAccess, took: Duration) {
    let seconds = match access {
        StoreAccess::Read => &METRICS.store_read_seconds,
        StoreAccess::Write => &METRICS.store_write_seconds,
    };
    seconds.observe(took.as_secs_f64());
}

/// What watches the slots of this process's worker from now on.
pub fn watch_slots(slots: std::sync::Arc<tokio::sync::Semaphore>, total: usize) {
    METRICS.slots.watch(slots, total);
}

/// Everything, in the text format of Prometheus
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
#[must_use]
pub fn as_text(stock: &Stock) -> String {
    METRICS.take_stock(stock);
    METRICS.take_process(&ProcessUse::now());
    let mut text = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&METRICS.registry.gather(), &mut text) {
        tracing::error!(%error, "metrics could not be written");
    }
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_counted_is_told() {
        request_answered("/api/v1/runs/{run}", "GET", 200, Duration::from_millis(3));
        run_started(Duration::from_secs(2));
        run_finished("passed");
        attempt_finished("timeout");
        store_used(StoreAccess::Write, Duration::from_micros(700));
        let stock = Stock {
            runs: vec![("queued", 2), ("running", 1)],
            oldest_queued_milliseconds: 1500,
            deliveries: 4,
            statuses: 5,
            queue_items: vec![("queued", 6)],
        };
        let text = as_text(&stock);
        for line in [
            r#"trunkline_http_requests_total{method="GET",route="/api/v1/runs/{run}",status="200"} 1"#,
            r#"trunkline_runs_finished_total{status="passed"} 1"#,
            r#"trunkline_attempts_finished_total{class="timeout"} 1"#,
            r#"trunkline_runs{status="queued"} 2"#,
            r#"trunkline_runs{status="waiting"} 0"#,
            "trunkline_oldest_queued_seconds 1.5",
            "trunkline_deliveries_backlog 4",
            "trunkline_statuses_backlog 5",
            r#"trunkline_queue_items{state="queued"} 6"#,
            r#"trunkline_queue_items{state="running"} 0"#,
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "no `{line}` in\n{text}");
        }
        assert!(text.contains("# TYPE trunkline_http_request_seconds histogram"), "{text}");
        let resident =
            text.lines().find_map(|it| it.strip_prefix("process_resident_memory_bytes "));
        assert!(resident.unwrap().parse::<f64>().unwrap() > 1e6, "{text}");
    }

    #[test]
    fn who_waits_and_who_reads_is_counted_as_long_as_they_do() {
        let value = |text: &str, name: &str| -> i64 {
            let prefix = format!("{name} ");
            text.lines().find_map(|it| it.strip_prefix(&prefix)).unwrap().parse().unwrap()
        };
        let mut ledger = Unwritten::default();
        ledger.failed();
        ledger.failed();
        assert!(ledger_unwritten_for().is_some());
        drop(ledger);
        assert_eq!(ledger_unwritten_for(), None);
        let mut queue = Queue::default();
        queue.set_waiting(true);
        let stream = OpenStream::new();
        let text = as_text(&Stock::default());
        assert_eq!(value(&text, "trunkline_runs_waiting_for_slot"), 1);
        assert_eq!(value(&text, "trunkline_event_streams_open"), 1);
        drop((queue, stream));
        let text = as_text(&Stock::default());
        assert_eq!(value(&text, "trunkline_runs_waiting_for_slot"), 0);
        assert_eq!(value(&text, "trunkline_event_streams_open"), 0);
    }
}

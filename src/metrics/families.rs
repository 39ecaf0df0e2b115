//! The metrics themselves: names, helps, labels and buckets.

use std::sync::LazyLock;

use prometheus::core::Collector;
use prometheus::{
    Counter, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

use super::Stock;
use super::process::ProcessUse;
use super::watched::{Slots, UnwrittenLedgers};

/// Statuses that are told even when no run has them.
const UNFINISHED: [&str; 4] = ["queued", "running", "waiting", "cancelling"];
/// Seconds of things that should be fast.
const FAST: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Seconds of waiting.
const SLOW: &[f64] = &[0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];

pub(super) static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// All metrics of the process.
pub struct Metrics {
    pub(super) registry: Registry,
    pub(super) requests: IntCounterVec,
    pub(super) request_seconds: HistogramVec,
    pub(super) streams: IntGauge,
    pub(super) runs: IntGaugeVec,
    pub(super) oldest_queued_seconds: Gauge,
    pub(super) runs_created: IntCounter,
    pub(super) runs_finished: IntCounterVec,
    pub(super) run_wait_seconds: Histogram,
    pub(super) attempts_finished: IntCounterVec,
    pub(super) waiting: IntGauge,
    pub(super) slot_wait_seconds: Histogram,
    pub(super) slots: Slots,
    pub(super) slots_used: IntGauge,
    pub(super) slots_total: IntGauge,
    pub(super) deliveries_received: IntCounterVec,
    pub(super) deliveries_processed: IntCounterVec,
    pub(super) deliveries_backlog: IntGauge,
    pub(super) status_posts: IntCounterVec,
    pub(super) statuses_backlog: IntGauge,
    pub(super) traces: IntCounterVec,
    pub(super) calls_traced: IntCounterVec,
    pub(super) spans_received: IntCounterVec,
    pub(super) queue_items: IntGaugeVec,
    pub(super) queue_ended: IntCounterVec,
    pub(super) queue_webhooks: IntCounterVec,
    pub(super) shadow_copies: IntCounterVec,
    pub(super) ledger_refused: IntCounterVec,
    pub(super) unwritten: UnwrittenLedgers,
    pub(super) ledger_unwritten_seconds: Gauge,
    pub(super) store_read_seconds: Histogram,
    pub(super) store_write_seconds: Histogram,
    resident: IntGauge,
    virtual_memory: IntGauge,
    open_files: IntGauge,
    max_files: IntGauge,
    cpu_seconds: Counter,
    start_seconds: Gauge,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    #[rustfmt::skip]
    fn new() -> Self {
        let maker = Maker { registry: Registry::new() };
        let build = maker.gauges("trunkline_build_info", "The version, as a label.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let store = maker.histograms(
            "trunkline_store_seconds",
            "How long the database took.",
            (&["access"], FAST),
        );
        Self {
            requests: maker.counters("trunkline_http_requests_total", "Requests that were answered.", &["route", "method", "status"]),
            request_seconds: maker.histograms("trunkline_http_request_seconds", "How long answers took to begin.", (&["route", "method"], FAST)),
            streams: maker.gauge("trunkline_event_streams_open", "Event streams that somebody reads."),
            runs: maker.gauges("trunkline_runs", "Unfinished runs in the database.", &["status"]),
            oldest_queued_seconds: maker.float("trunkline_oldest_queued_seconds", "Age of the oldest queued run in the database."),
            runs_created: maker.counter("trunkline_runs_created_total", "Runs that this process has made."),
            runs_finished: maker.counters("trunkline_runs_finished_total", "Runs that ended here.", &["status"]),
            run_wait_seconds: maker.histogram("trunkline_run_wait_seconds", "From the making of a run to its first stage.", SLOW),
            attempts_finished: maker.counters("trunkline_attempts_finished_total", "Attempts that ended here, by class of failure or `passed`.", &["class"]),
            waiting: maker.gauge("trunkline_runs_waiting_for_slot", "Runs with a stage that is ready and waits for a slot of this process."),
            slot_wait_seconds: maker.histogram("trunkline_slot_wait_seconds", "How long runs waited for a slot of this process.", SLOW),
            slots: Slots::default(),
            slots_used: maker.gauge("trunkline_slots_used", "Slots of this process that have an attempt."),
            slots_total: maker.gauge("trunkline_slots", "Slots of this process."),
            deliveries_received: maker.counters("trunkline_deliveries_received_total", "Deliveries of forges that came here.", &["forge", "result"]),
            deliveries_processed: maker.counters("trunkline_deliveries_processed_total", "Deliveries that this process has looked at.", &["outcome"]),
            deliveries_backlog: maker.gauge("trunkline_deliveries_backlog", "Deliveries in the database that wait to be processed."),
            status_posts: maker.counters("trunkline_status_posts_total", "Statuses that this process has tried to post.", &["outcome"]),
            statuses_backlog: maker.gauge("trunkline_statuses_backlog", "Statuses in the database that a forge has not got."),
            calls_traced: maker.counters("trunkline_model_calls_traced_total", "Traces of calls to models that were written, or not.", &["outcome"]),
            spans_received: maker.counters("trunkline_spans_received_total", "Spans of apps and stages that were written, or not.", &["outcome"]),
            traces: maker.counters("trunkline_traces_exported_total", "Traces that were sent to the collector.", &["outcome"]),
            queue_items: maker.gauges("trunkline_queue_items", "Calls to models in the database that are made later.", &["state"]),
            queue_ended: maker.counters("trunkline_queue_items_ended_total", "Calls that were made later and ended here.", &["state"]),
            queue_webhooks: maker.counters("trunkline_queue_webhooks_total", "Tries of this process to tell of such ends.", &["outcome"]),
            shadow_copies: maker.counters("trunkline_shadow_copies_total", "Copies of calls for candidates.", &["outcome"]),
            ledger_refused: maker.counters("trunkline_ledger_refused_total", "Parts of the ledger that the database does not take as they are.", &["what"]),
            unwritten: UnwrittenLedgers::default(),
            ledger_unwritten_seconds: maker.float("trunkline_ledger_unwritten_seconds", "How long the ledger of this process could not be written."),
            store_read_seconds: store.with_label_values(&["read"]),
            store_write_seconds: store.with_label_values(&["write"]),
            resident: maker.gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
            virtual_memory: maker.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes."),
            open_files: maker.gauge("process_open_fds", "Number of open file descriptors."),
            max_files: maker.gauge("process_max_fds", "Maximum number of open file descriptors."),
            cpu_seconds: maker.float_counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
            start_seconds: maker.float("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
            registry: maker.registry,
        }
    }

    pub(super) fn take_stock(&self, stock: &Stock) {
        for status in UNFINISHED {
            let found = stock.runs.iter().find(|(it, _)| *it == status);
            self.runs.with_label_values(&[status]).set(found.map_or(0, |(_, count)| *count));
        }
        #[expect(clippy::cast_precision_loss, reason = "ages are far below 2^53")]
        self.oldest_queued_seconds.set(stock.oldest_queued_milliseconds as f64 / 1000.0);
        for state in ["queued", "running"] {
            let found = stock.queue_items.iter().find(|(it, _)| *it == state);
            self.queue_items.with_label_values(&[state]).set(found.map_or(0, |(_, count)| *count));
        }
        self.deliveries_backlog.set(stock.deliveries);
        self.statuses_backlog.set(stock.statuses);
        let unwritten = self.unwritten.longest().unwrap_or_default();
        self.ledger_unwritten_seconds.set(unwritten.as_secs_f64());
        let (used, total) = self.slots.count();
        self.slots_used.set(used);
        self.slots_total.set(total);
    }

    pub(super) fn take_process(&self, now: &ProcessUse) {
        self.resident.set(now.resident_bytes);
        self.virtual_memory.set(now.virtual_bytes);
        self.open_files.set(now.open_files);
        self.max_files.set(now.max_files);
        self.cpu_seconds.reset();
        self.cpu_seconds.inc_by(now.cpu_seconds);
        self.start_seconds.set(now.start_seconds);
    }
}

struct Maker {
    registry: Registry,
}

#[expect(clippy::expect_used, reason = "names and labels are constants, and a test makes them all")]
impl Maker {
    fn add<T: Collector + Clone + 'static>(&self, made: prometheus::Result<T>) -> T {
        let made = made.expect("the name is a name");
        self.registry.register(Box::new(made.clone())).expect("the name is new");
        made
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn float_counter(&self, name: &str, help: &str) -> Counter {
        self.add(Counter::new(name, help))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help))
    }

    fn float(&self, name: &str, help: &str) -> Gauge {
        self.add(Gauge::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(Histogram::with_opts(options))
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        (labels, buckets): (&[&str], &[f64]),
    ) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(HistogramVec::new(options, labels))
    }
}

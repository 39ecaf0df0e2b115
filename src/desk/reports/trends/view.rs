//! Trends as clients see them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{RunId, Timestamp};

/// Tests of a project over some days.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TestTrend {
    /// Every day, oldest first.
    pub days: Vec<TestDay>,
    /// Cases that failed or were flaky: the flakiest first, then those that failed most; at most 200.
    pub items: Vec<CaseTrend>,
    /// Whether only the newest of the failures and attempts were looked at, because there are so many.
    pub is_cut: bool,
}

/// The tests of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TestDay {
    /// `2026-11-28`, in UTC.
    pub day: String,
    /// Tries of stages that had reports of tests.
    pub attempts: i64,
    /// How many of them had cases that failed.
    pub failed_attempts: i64,
    /// Failures of cases that were not flaky.
    pub failed: i64,
    /// Failures of cases that also passed with the same files.
    pub flaky: i64,
}

/// A case that failed or was flaky.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CaseTrend {
    /// Key of its stage.
    pub stage_key: String,
    /// Its suite, or empty.
    pub suite: String,
    /// Its name.
    pub name: String,
    /// How often it failed.
    pub failed: i64,
    /// How often it was flaky: it failed, and passed with the same files.
    pub flaky: i64,
    /// When that was last, in milliseconds since 1970-01-01 UTC.
    #[schema(value_type = i64)]
    pub last_at: Timestamp,
    /// The newest run with it.
    #[schema(value_type = String)]
    pub last_run: RunId,
    /// How often it failed or was flaky on each day, oldest first.
    pub by_day: Vec<i64>,
}

/// How runs of a project did.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct MetricsTrend {
    /// Only this pipeline.
    pub pipeline: Option<String>,
    /// Only this branch.
    pub branch: Option<String>,
    /// Every day, oldest first.
    pub days: Vec<DayMetrics>,
    /// The newest runs, oldest first; at most 100.
    pub runs: Vec<RunMetrics>,
}

/// The runs that were asked for on one day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct DayMetrics {
    /// `2026-11-28`, in UTC.
    pub day: String,
    /// How many there were.
    pub count: u64,
    /// Whether there were more, and only the newest of the day were looked at.
    pub is_cut: bool,
    /// How many passed.
    pub passed: u64,
    /// How many failed.
    pub failed: u64,
    /// Passed ones among those that passed or failed: 0 to 1.
    pub success_rate: Option<f64>,
    /// How long half of those that passed took at most, from their start on.
    pub duration_p50_ms: Option<u64>,
    /// How long 95 % of those that passed took at most.
    pub duration_p95_ms: Option<u64>,
    /// How long half of them waited at most for their first start.
    pub queue_p50_ms: Option<u64>,
    /// How long 95 % of them waited at most.
    pub queue_p95_ms: Option<u64>,
    /// What they cost together: the sums of what their stages published as `cost_usd`.
    pub cost_usd: Option<f64>,
}

/// How one run did.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RunMetrics {
    /// Its id.
    #[schema(value_type = String)]
    pub id: RunId,
    /// Counts the runs.
    pub number: i64,
    /// Its pipeline.
    pub pipeline: String,
    /// Its branch.
    pub branch: String,
    /// Where it stands.
    pub status: String,
    /// When it was asked for, in milliseconds since 1970-01-01 UTC.
    #[schema(value_type = i64)]
    pub created_at: Timestamp,
    /// How long it took from its start on; null until it has ended, and where the start is not known.
    pub duration_ms: Option<u64>,
    /// How long it waited for its first start.
    pub queue_ms: Option<u64>,
    /// What it cost, where its stages published that.
    pub cost_usd: Option<f64>,
}

/// A gate over runs.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct GateTrend {
    /// The pipeline.
    pub pipeline: String,
    /// Key of the stage.
    pub stage_key: String,
    /// Name of the metric.
    pub metric: String,
    /// The comparison as written in the newest run.
    pub comparison: String,
    /// Its values, oldest first.
    pub points: Vec<GatePoint>,
}

/// A gate in one run.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct GatePoint {
    /// Which run.
    #[schema(value_type = String)]
    pub run: RunId,
    /// Its number.
    pub number: i64,
    /// When it was asked for, in milliseconds since 1970-01-01 UTC.
    #[schema(value_type = i64)]
    pub created_at: Timestamp,
    /// The value; null when nothing published it.
    pub value: Option<f64>,
    /// What the value was compared with, where that is a number or computed from `baseline` by one.
    pub threshold: Option<f64>,
    /// What `baseline` stood for.
    pub baseline: Option<f64>,
    /// Whether it was passed; null when it was not judged.
    pub passed: Option<bool>,
}

//! A project over time: its tests, its gates, and how its runs did. Each looks at a bounded span and reads a
//! bounded number of rows by an index.

mod fold;
mod view;

#[cfg(test)]
mod tests;

pub use view::{
    CaseTrend, DayMetrics, GatePoint, GateTrend, MetricsTrend, RunMetrics, TestDay, TestTrend,
};

use crate::desk::overview::PUSH;
use crate::desk::projects;
use crate::http::{App, Problem, Visitor};
use crate::model::{RunId, Timestamp};
use crate::store::access::projects::ProjectRow;
use crate::store::runs::{RunTimesRow, TimesFilter};
use fold::DAY;

/// Days that are looked back, unless asked otherwise, and at most.
pub const DAYS: u32 = 30;
/// See [`DAYS`].
pub const DAYS_MAX: u32 = 90;
/// Runs that are looked at for all days together: so many are read in a few milliseconds.
const RUNS_MAX: u32 = 1_800;
/// Runs that are told one by one.
const RUNS_TOLD: usize = 100;
/// Runs whose gates are told, unless asked otherwise, and at most.
pub const GATE_RUNS: u32 = 50;
const GATE_RUNS_MAX: u32 = 100;
/// Cases that are told of a project.
const CASES_MAX: usize = 200;
/// The metric by which a stage says what it has cost.
pub const COST_METRIC: &str = "cost_usd";

/// Which runs of a project.
#[derive(Debug, Clone, Default)]
pub struct MetricsAsked {
    /// Only this pipeline.
    pub pipeline: Option<String>,
    /// Only this branch.
    pub branch: Option<String>,
    /// How many days back, today included.
    pub days: u32,
}

/// Whose gates.
#[derive(Debug, Clone, Default)]
pub struct GatesAsked {
    /// Only this pipeline.
    pub pipeline: Option<String>,
    /// Only this branch.
    pub branch: Option<String>,
    /// How many days back, today included.
    pub days: u32,
    /// Runs at most, the newest.
    pub limit: u32,
}

/// Failing and flaky tests of a project, and how many there were by day.
pub async fn tests(
    app: &App,
    visitor: &Visitor,
    slug: &str,
    days: u32,
) -> Result<(ProjectRow, TestTrend), Problem> {
    let project = projects::find(app, visitor, slug).await?;
    let days = i64::from(days.clamp(1, DAYS_MAX));
    let today = app.now().0.div_euclid(DAY);
    let first = today - days + 1;
    let since = Timestamp(first * DAY);
    let cases = app.store.list_case_days(&project.id, since).await?;
    let attempts = app.store.list_test_days(&project.id, since).await?;
    let trend = fold::tests((first, today), &cases, &attempts, CASES_MAX);
    Ok((project, trend))
}

/// How the runs of a project did: how long they took and waited, how many passed, what they cost.
pub async fn metrics(
    app: &App,
    visitor: &Visitor,
    slug: &str,
    asked: &MetricsAsked,
) -> Result<(ProjectRow, MetricsTrend), Problem> {
    let project = projects::find(app, visitor, slug).await?;
    let days = asked.days.clamp(1, DAYS_MAX);
    let limit = RUNS_MAX / days;
    let today = app.now().0.div_euclid(DAY);
    let first = today - i64::from(days) + 1;
    let spans: Vec<_> =
        (first..=today).map(|day| (id_at(day * DAY), id_at((day + 1) * DAY))).collect();
    let of = (&asked.pipeline, &asked.branch);
    let rows = app.store.list_run_times(&filter(&project, of, limit), &spans).await?;
    let days = fold::days((first, today), &rows, limit as usize);
    let runs = fold::runs(&rows, RUNS_TOLD);
    let (pipeline, branch) = (asked.pipeline.clone(), asked.branch.clone());
    Ok((project, MetricsTrend { pipeline, branch, days, runs }))
}

/// The pipelines of a project's newest runs: first the one that the newest push to the trunk has started, then
/// that of the newest run.
pub async fn pipelines(app: &App, project: &ProjectRow) -> Result<Vec<String>, Problem> {
    let asked = GatesAsked { days: DAYS_MAX, limit: GATE_RUNS_MAX, ..GatesAsked::default() };
    let mut names: Vec<String> = Vec::new();
    for row in newest(app, project, &asked).await? {
        if !names.contains(&row.pipeline) {
            names.push(row.pipeline);
        }
    }
    let trunk = app.store.list_trunk_runs(std::slice::from_ref(&project.id)).await?;
    if let Some(pushed) = trunk.into_iter().find(|it| it.event == PUSH) {
        names.retain(|it| *it != pushed.pipeline);
        names.insert(0, pushed.pipeline);
    }
    Ok(names)
}

/// The gates of a project's newest runs.
pub async fn gates(
    app: &App,
    visitor: &Visitor,
    slug: &str,
    asked: &GatesAsked,
) -> Result<Vec<GateTrend>, Problem> {
    let project = projects::find(app, visitor, slug).await?;
    gates_of(app, &project, asked).await
}

/// The same, for a project that was found.
pub async fn gates_of(
    app: &App,
    project: &ProjectRow,
    asked: &GatesAsked,
) -> Result<Vec<GateTrend>, Problem> {
    let rows = newest(app, project, asked).await?;
    let runs: Vec<_> = rows.iter().map(|it| it.id.clone()).collect();
    let gates = app.store.list_gates(&runs).await?;
    let mut names: Vec<_> = gates.iter().map(|it| it.metric.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let metrics = app.store.list_metrics(&runs, &names).await?;
    Ok(fold::gates(&rows, &gates, &metrics))
}

async fn newest(
    app: &App,
    project: &ProjectRow,
    asked: &GatesAsked,
) -> Result<Vec<RunTimesRow>, Problem> {
    let limit = asked.limit.clamp(1, GATE_RUNS_MAX);
    let today = app.now().0.div_euclid(DAY);
    let first = today - i64::from(asked.days.clamp(1, DAYS_MAX)) + 1;
    let span = (id_at(first * DAY), id_at((today + 1) * DAY));
    let of = (&asked.pipeline, &asked.branch);
    Ok(app.store.list_run_times(&filter(project, of, limit), &[span]).await?)
}

fn filter(
    project: &ProjectRow,
    (pipeline, branch): (&Option<String>, &Option<String>),
    limit: u32,
) -> TimesFilter {
    TimesFilter {
        project: project.id.clone(),
        pipeline: pipeline.clone(),
        branch: branch.clone(),
        // A fork may call its branch as it likes; it is not the trunk for that.
        with_requests: branch.as_ref() != Some(&project.default_branch),
        cost_metric: COST_METRIC.to_owned(),
        limit,
    }
}

/// What the ids of runs from a moment on begin with, so that an index finds them.
fn id_at(ms: i64) -> RunId {
    let ulid = ulid::Ulid::from_parts(u64::try_from(ms).unwrap_or(0), 0);
    RunId(ulid.to_string().to_lowercase())
}

//! From rows to trends. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::DateTime;

use super::view::{CaseTrend, DayMetrics, GatePoint, GateTrend, RunMetrics, TestDay, TestTrend};
use crate::model::{RunId, Timestamp};
use crate::store::results::trends::{CaseDayRow, GateRow, ROWS_MAX, TestDayRow};
use crate::store::runs::RunTimesRow;

/// Milliseconds of a day.
pub(super) const DAY: i64 = 86_400_000;

/// `2026-11-28`
pub(super) fn name_of(day: i64) -> String {
    let known = DateTime::from_timestamp_millis(day.saturating_mul(DAY));
    known.map_or_else(String::new, |it| it.format("%Y-%m-%d").to_string())
}

/// Tests from the first to the last of these days.
pub(super) fn tests(
    (first, last): (i64, i64),
    cases: &[CaseDayRow],
    attempts: &[TestDayRow],
    limit: usize,
) -> TestTrend {
    let mut days: Vec<_> = (first..=last).map(empty_day).collect();
    let place = |day: i64| usize::try_from(day - first).ok();
    for row in attempts {
        if let Some(day) = place(row.day).and_then(|it| days.get_mut(it)) {
            day.attempts = row.attempts;
            day.failed_attempts = row.failed;
        }
    }
    let mut items: BTreeMap<(&str, &str), CaseTrend> = BTreeMap::new();
    let columns = days.len();
    for row in cases {
        let seen = row.failed.max(row.flaky);
        if let Some(day) = place(row.day).and_then(|it| days.get_mut(it)) {
            day.flaky += row.flaky;
            day.failed += seen - row.flaky;
        }
        let item = items.entry((&row.stage_key, &row.case_id)).or_insert_with(|| CaseTrend {
            stage_key: row.stage_key.clone(),
            suite: row.suite.clone(),
            name: row.name.clone(),
            failed: 0,
            flaky: 0,
            last_at: row.last_at,
            last_run: row.last_run.clone(),
            by_day: vec![0; columns],
        });
        item.failed += row.failed;
        item.flaky += row.flaky;
        if row.last_at >= item.last_at {
            item.last_at = row.last_at;
            item.last_run = row.last_run.clone();
        }
        if let Some(count) = place(row.day).and_then(|it| item.by_day.get_mut(it)) {
            *count += seen;
        }
    }
    let mut items: Vec<_> = items.into_values().collect();
    items.sort_by_key(|it| (Reverse(it.flaky), Reverse(it.failed), Reverse(it.last_at)));
    items.truncate(limit);
    let failures: i64 = cases.iter().map(|it| it.failed.max(it.flaky)).sum();
    let tries: i64 = attempts.iter().map(|it| it.attempts).sum();
    TestTrend { days, items, is_cut: failures.max(tries) >= i64::from(ROWS_MAX) }
}

fn empty_day(day: i64) -> TestDay {
    TestDay { day: name_of(day), attempts: 0, failed_attempts: 0, failed: 0, flaky: 0 }
}

/// Runs by the day when they were asked for; of a day with `limit` runs there may be more.
pub(super) fn days(
    (first, last): (i64, i64),
    rows: &[RunTimesRow],
    limit: usize,
) -> Vec<DayMetrics> {
    let mut by_day: BTreeMap<i64, Vec<&RunTimesRow>> = BTreeMap::new();
    for row in rows {
        by_day.entry(row.created_at.0.div_euclid(DAY)).or_default().push(row);
    }
    (first..=last)
        .map(|day| day_of(name_of(day), by_day.get(&day).map_or(&[], Vec::as_slice), limit))
        .collect()
}

fn day_of(day: String, rows: &[&RunTimesRow], limit: usize) -> DayMetrics {
    let ended = |word: &str| rows.iter().filter(|it| it.status == word).count() as u64;
    let (passed, failed) = (ended("passed"), ended("failed"));
    let green = rows.iter().filter(|it| it.status == "passed");
    let durations = sorted(green.filter_map(|it| duration(it)));
    let waits = sorted(rows.iter().filter_map(|it| queued(it)));
    let costs: Vec<f64> = rows.iter().filter_map(|it| it.cost).collect();
    DayMetrics {
        day,
        count: rows.len() as u64,
        is_cut: rows.len() >= limit,
        passed,
        failed,
        success_rate: (passed + failed > 0).then(|| part(passed, passed + failed)),
        duration_p50_ms: percentile(&durations, 50),
        duration_p95_ms: percentile(&durations, 95),
        queue_p50_ms: percentile(&waits, 50),
        queue_p95_ms: percentile(&waits, 95),
        cost_usd: (!costs.is_empty()).then(|| costs.iter().sum()),
    }
}

/// The newest runs, oldest first; `rows` are newest first.
pub(super) fn runs(rows: &[RunTimesRow], limit: usize) -> Vec<RunMetrics> {
    let told = rows.iter().take(limit).map(|row| RunMetrics {
        id: row.id.clone(),
        number: row.number,
        pipeline: row.pipeline.clone(),
        branch: row.branch.clone(),
        status: row.status.clone(),
        created_at: row.created_at,
        duration_ms: duration(row),
        queue_ms: queued(row),
        cost_usd: row.cost,
    });
    let mut told: Vec<_> = told.collect();
    told.reverse();
    told
}

fn duration(row: &RunTimesRow) -> Option<u64> {
    Some(row.finished_at?.since(row.started_at?).0)
}

fn queued(row: &RunTimesRow) -> Option<u64> {
    Some(row.first_started_at?.since(row.created_at).0)
}

fn sorted(values: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values
}

/// The least value that so many percent do not exceed (the nearest rank).
pub(super) fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn part(some: u64, all: u64) -> f64 {
    some as f64 / all as f64
}

/// Gates of these runs, newest first. Runs that published the metric and were not judged have their value.
pub(super) fn gates(
    rows: &[RunTimesRow],
    judged: &[GateRow],
    metrics: &[(RunId, String, String, f64)],
) -> Vec<GateTrend> {
    type Key<'a> = (&'a str, &'a str, &'a str);
    let by_run: BTreeMap<&str, &RunTimesRow> =
        rows.iter().map(|it| (it.id.0.as_str(), it)).collect();
    let mut found: BTreeMap<Key<'_>, BTreeMap<&str, GatePoint>> = BTreeMap::new();
    let mut comparisons: BTreeMap<Key<'_>, (&str, &str)> = BTreeMap::new();
    for gate in judged {
        let Some(row) = by_run.get(gate.run.0.as_str()) else { continue };
        let key = (row.pipeline.as_str(), gate.stage_key.as_str(), gate.metric.as_str());
        let newest = comparisons.entry(key).or_insert(("", ""));
        *newest = (*newest).max((&gate.run.0, &gate.comparison));
        let point = GatePoint {
            value: gate.value,
            threshold: threshold(&gate.comparison, gate.baseline),
            baseline: gate.baseline,
            passed: Some(gate.passed),
            ..point(row)
        };
        found.entry(key).or_default().insert(&row.id.0, point);
    }
    for (run, stage_key, name, value) in metrics {
        let Some(row) = by_run.get(run.0.as_str()) else { continue };
        let key = (row.pipeline.as_str(), stage_key.as_str(), name.as_str());
        if let Some(points) = found.get_mut(&key) {
            let point = points.entry(&row.id.0).or_insert_with(|| point(row));
            point.value = point.value.or(Some(*value));
        }
    }
    let trend = |(key, points): (Key<'_>, BTreeMap<&str, GatePoint>)| GateTrend {
        pipeline: key.0.to_owned(),
        stage_key: key.1.to_owned(),
        metric: key.2.to_owned(),
        comparison: comparisons.get(&key).map_or("", |it| it.1).to_owned(),
        points: points.into_values().collect(),
    };
    found.into_iter().map(trend).collect()
}

fn point(row: &RunTimesRow) -> GatePoint {
    GatePoint {
        run: row.id.clone(),
        number: row.number,
        created_at: Timestamp(row.created_at.0),
        value: None,
        threshold: None,
        baseline: None,
        passed: None,
    }
}

/// The number that a comparison such as `>= 0.85` or `<= baseline * 1.02` compares with, where it is that simple.
pub(super) fn threshold(comparison: &str, baseline: Option<f64>) -> Option<f64> {
    let side = comparison.trim_start_matches(['<', '>', '=', '!']).trim();
    let value = match side.strip_prefix("baseline") {
        None => side.parse().ok()?,
        Some(rest) => {
            let (baseline, rest) = (baseline?, rest.trim());
            let number = |sign: char| rest.strip_prefix(sign)?.trim().parse::<f64>().ok();
            match rest.chars().next() {
                None => baseline,
                Some('*') => baseline * number('*')?,
                Some('/') => baseline / number('/')?,
                Some('+') => baseline + number('+')?,
                Some('-') => baseline - number('-')?,
                Some(_) => return None,
            }
        }
    };
    Some(value).filter(|it: &f64| it.is_finite())
}

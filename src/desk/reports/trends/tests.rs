use super::fold::{self, percentile, threshold};
use crate::model::{RunId, Timestamp};
use crate::store::results::trends::{CaseDayRow, GateRow, TestDayRow};
use crate::store::runs::RunTimesRow;

fn run(number: i64, status: &str, (created, started, finished): (i64, i64, i64)) -> RunTimesRow {
    RunTimesRow {
        id: RunId(format!("r{number}")),
        number,
        pipeline: "ci".to_owned(),
        branch: "main".to_owned(),
        status: status.to_owned(),
        created_at: Timestamp(created),
        first_started_at: Some(Timestamp(started)),
        started_at: Some(Timestamp(started)),
        finished_at: Some(Timestamp(finished)),
        cost: None,
    }
}

#[test]
fn a_percentile_is_a_value_that_was_measured() {
    let values: Vec<u64> = (1..=20).collect();
    assert_eq!(percentile(&values, 50), Some(10));
    assert_eq!(percentile(&values, 95), Some(19));
    assert_eq!(percentile(&[7], 95), Some(7));
    assert_eq!(percentile(&[], 50), None);
}

#[test]
fn a_threshold_is_a_number_or_computed_from_the_baseline() {
    let of = |text| threshold(text, Some(2.0));
    let texts = [
        ">= 0.85",
        "== 0",
        "<= baseline",
        "<= baseline * 1.5",
        ">= baseline - 0.5",
        "> f1",
        "<= baseline * x",
    ];
    assert_eq!(texts.map(of), [Some(0.85), Some(0.0), Some(2.0), Some(3.0), Some(1.5), None, None]);
    assert_eq!(threshold(">= baseline", None), None);
}

#[test]
fn only_green_runs_have_a_duration_and_cancelled_ones_no_verdict() {
    let rows = [
        run(3, "cancelled", (30, 40, 90)),
        run(2, "failed", (20, 25, 26)),
        run(1, "passed", (10, 13, 113)),
    ];
    let days = fold::days((0, 1), &rows, 3);
    let [first, second] = days.as_slice() else { panic!("{days:?}") };
    assert_eq!((first.day.as_str(), first.count, first.is_cut), ("1970-01-01", 3, true));
    assert_eq!((first.success_rate, first.duration_p95_ms), (Some(0.5), Some(100)));
    assert_eq!((first.queue_p50_ms, first.queue_p95_ms), (Some(5), Some(10)));
    assert_eq!((second.count, second.success_rate, second.duration_p50_ms), (0, None, None));
    let numbers: Vec<_> = fold::runs(&rows, 2).iter().map(|it| it.number).collect();
    assert_eq!(numbers, [2, 3]);
}

#[test]
fn the_flakiest_case_comes_first() {
    let row = |case_id: &str, day, failed, flaky| CaseDayRow {
        stage_key: "unit".to_owned(),
        case_id: case_id.to_owned(),
        day,
        suite: String::new(),
        name: case_id.to_owned(),
        failed,
        flaky,
        last_at: Timestamp(day),
        last_run: RunId(format!("r{day}")),
    };
    let rows = [
        row("broken", 10, 9, 0),
        row("flaky", 10, 1, 1),
        row("flaky", 12, 2, 1),
        row("retried", 11, 0, 2),
    ];
    let attempts = [TestDayRow { day: 12, attempts: 5, failed: 2 }];
    let trend = fold::tests((10, 12), &rows, &attempts, 2);
    let told: Vec<_> = trend
        .items
        .iter()
        .map(|it| {
            (it.name.as_str(), it.failed, it.flaky, it.last_run.0.as_str(), it.by_day.clone())
        })
        .collect();
    assert_eq!(
        told,
        [("flaky", 3, 2, "r12", vec![1, 0, 2]), ("retried", 0, 2, "r11", vec![0, 2, 0])]
    );
    let days: Vec<_> = trend
        .days
        .iter()
        .map(|it| (it.attempts, it.failed_attempts, it.failed, it.flaky))
        .collect();
    assert_eq!(days, [(0, 0, 9, 1), (0, 0, 0, 2), (5, 2, 1, 1)]);
    assert!(!trend.is_cut);
}

#[test]
fn a_gate_has_the_values_of_runs_that_were_not_judged_too() {
    let rows =
        [run(3, "failed", (3, 3, 3)), run(2, "passed", (2, 2, 2)), run(1, "passed", (1, 1, 1))];
    let gate = |run: &str, comparison: &str, value| GateRow {
        run: RunId(run.to_owned()),
        stage_key: "eval".to_owned(),
        metric: "f1".to_owned(),
        comparison: comparison.to_owned(),
        value,
        baseline: Some(0.8),
        passed: true,
    };
    let judged = [gate("r1", ">= 0.7", Some(0.75)), gate("r2", ">= baseline - 0.1", Some(0.9))];
    let metrics = [
        (RunId("r3".to_owned()), "eval".to_owned(), "f1".to_owned(), 0.5),
        (RunId("r3".to_owned()), "other".to_owned(), "f1".to_owned(), 0.1),
    ];
    let trends = fold::gates(&rows, &judged, &metrics);
    let [trend] = trends.as_slice() else { panic!("{trends:?}") };
    assert_eq!((trend.metric.as_str(), trend.comparison.as_str()), ("f1", ">= baseline - 0.1"));
    let points: Vec<_> = trend.points.iter().map(|it| (it.number, it.value, it.passed)).collect();
    let wanted = [(1, Some(0.75), Some(true)), (2, Some(0.9), Some(true)), (3, Some(0.5), None)];
    assert_eq!(points, wanted);
    let limits: Vec<_> =
        trend.points.iter().map(|it| it.threshold.map(|it| format!("{it:.2}"))).collect();
    assert_eq!(limits, [Some("0.70".to_owned()), Some("0.70".to_owned()), None]);
}

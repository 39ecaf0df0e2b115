//! The tables `attempt_reports`, `test_cases`, `findings` and `gate_results`.

use trunkline::model::{CaseOutcome, FindingLevel, RunId, StageIndex, Timestamp};
use trunkline::store::Store;
use trunkline::store::results::reports::{AttemptReport, NewCase, NewFinding};
use trunkline::store::results::trends::GateRow;
use trunkline::store::runs::NewRun;

use crate::databases::{Database, on_each_database};
use crate::samples::{attempt, insert_shop, new_run, run_id, set_status};

on_each_database![
    what_is_stored_twice_is_there_once,
    a_case_that_passed_with_the_same_files_is_flaky_in_either_order,
    a_case_is_not_flaky_where_nothing_shows_that_it_passed,
    a_case_that_failed_before_is_asked_for,
    reports_go_with_their_run,
    tests_are_counted_by_day,
    gates_are_those_of_the_last_attempt,
];

const DAY: i64 = 86_400_000;

/// A run of the shop with these files.
async fn run_of(store: &Store, n: u32, tree: &str) -> RunId {
    let project = trunkline::model::ProjectId("p-web".to_owned());
    let run = NewRun { project, tree: tree.to_owned(), ..new_run(n) };
    store.insert_run(&run).await.unwrap();
    run_id(n)
}

fn case(name: &str, outcome: CaseOutcome) -> NewCase {
    NewCase {
        case_id: format!("id-{name}"),
        suite: "shop".to_owned(),
        name: name.to_owned(),
        outcome,
        message: "boom ☂".to_owned(),
        file: String::new(),
        line: Some(7),
        duration_ms: None,
    }
}

/// An attempt at `unit` that ran the cases that `executed` stands for.
fn report(run: &RunId, number: u32, executed: &str, cases: Vec<NewCase>) -> AttemptReport {
    AttemptReport {
        attempt: attempt(run, 2, number),
        stage_key: "unit".to_owned(),
        at: Timestamp(DAY + i64::from(number)),
        executed: executed.to_owned(),
        failed: cases.iter().filter(|it| it.outcome.is_failure()).count() as u64,
        cases_left_out: 0,
        findings_left_out: 0,
        cases,
        findings: Vec::new(),
    }
}

async fn flaky(store: &Store, run: &RunId) -> Vec<(u32, String)> {
    let cases = store.list_cases(run, None).await.unwrap().into_iter();
    cases.filter(|it| it.is_flaky).map(|it| (it.attempt.attempt, it.case.name)).collect()
}

async fn what_is_stored_twice_is_there_once(store: Store, _: &Database) {
    insert_shop(&store).await;
    let run = run_of(&store, 1, "tree").await;
    let finding = |level, rule: &str| NewFinding {
        level,
        rule: rule.to_owned(),
        message: "bad".to_owned(),
        file: "src/x.rs".to_owned(),
        line: None,
    };
    let findings =
        vec![finding(FindingLevel::Error, "CVE-1"), finding(FindingLevel::Note, "style")];
    // More than one INSERT takes.
    let cases: Vec<_> =
        (0..1100).map(|it| case(&format!("t{it:04}"), CaseOutcome::Failed)).collect();
    let report = AttemptReport {
        findings,
        cases_left_out: 3,
        findings_left_out: 4,
        ..report(&run, 1, "all", cases.clone())
    };

    store.save_report(&report).await.unwrap();
    store.save_report(&report).await.unwrap();

    let stored = store.list_cases(&run, None).await.unwrap();
    assert_eq!(stored.iter().map(|it| it.case.clone()).collect::<Vec<_>>(), cases);
    assert_eq!((stored[7].place, stored[7].stage_key.as_str()), (7, "unit"));
    let found = store.list_findings(&run, Some((StageIndex(2), 1))).await.unwrap();
    assert_eq!(found.iter().map(|it| it.finding.clone()).collect::<Vec<_>>(), report.findings);
    assert!(store.list_findings(&run, Some((StageIndex(2), 2))).await.unwrap().is_empty());
    let rows = store.list_reports(&run).await.unwrap();
    let left_out: Vec<_> =
        rows.iter().map(|it| (it.cases_left_out, it.findings_left_out)).collect();
    assert_eq!(left_out, [(3, 4)]);
}

async fn a_case_that_passed_with_the_same_files_is_flaky_in_either_order(
    store: Store,
    _: &Database,
) {
    insert_shop(&store).await;
    let run = run_of(&store, 1, "tree").await;
    let other = run_of(&store, 2, "tree").await;
    // It passes, fails and passes, always beside one that fails each time.
    let broken = || case("broken", CaseOutcome::Failed);
    let both = vec![broken(), case("shaky", CaseOutcome::Error)];
    store.save_report(&report(&run, 1, "all", vec![broken()])).await.unwrap();
    store.save_report(&report(&run, 2, "all", both.clone())).await.unwrap();

    assert_eq!(flaky(&store, &run).await, [(2, "shaky".to_owned())]);

    // In another run of the same files too; what is marked stays so when it is stored once more.
    store.save_report(&report(&other, 1, "all", both.clone())).await.unwrap();
    store.save_report(&report(&run, 2, "all", both)).await.unwrap();
    assert_eq!(flaky(&store, &other).await, [(1, "shaky".to_owned())]);
    assert_eq!(flaky(&store, &run).await, [(2, "shaky".to_owned())]);
}

async fn a_case_is_not_flaky_where_nothing_shows_that_it_passed(store: Store, _: &Database) {
    insert_shop(&store).await;
    let run = run_of(&store, 1, "tree").await;
    let failed = || vec![case("shaky", CaseOutcome::Failed)];
    store.save_report(&report(&run, 1, "all", failed())).await.unwrap();
    // Other cases ran; other files; not every failure has a row; a case of another name passed.
    store.save_report(&report(&run, 2, "some", Vec::new())).await.unwrap();
    let changed = run_of(&store, 2, "other").await;
    store.save_report(&report(&changed, 1, "all", Vec::new())).await.unwrap();
    let cut = AttemptReport { cases_left_out: 1, ..report(&run, 3, "all", Vec::new()) };
    store.save_report(&cut).await.unwrap();
    let passed = vec![case("steady", CaseOutcome::Passed)];
    store.save_report(&report(&run, 4, "more", passed)).await.unwrap();
    assert_eq!(flaky(&store, &run).await, []);

    // A row that says so does, whatever else ran; and what the test program tried again is flaky by itself.
    let again = vec![case("shaky", CaseOutcome::Passed), case("retried", CaseOutcome::Flaky)];
    store.save_report(&report(&run, 5, "few", again)).await.unwrap();
    assert_eq!(flaky(&store, &run).await, [(1, "shaky".to_owned()), (5, "retried".to_owned())]);
}

async fn a_case_that_failed_before_is_asked_for(store: Store, _: &Database) {
    insert_shop(&store).await;
    let run = run_of(&store, 1, "tree").await;
    let cases = vec![case("shaky", CaseOutcome::Failed), case("slow", CaseOutcome::Passed)];
    store.save_report(&report(&run, 1, "all", cases)).await.unwrap();
    let second = attempt(&run, 2, 2);

    let failed = store.list_failed_before(&second, "unit").await.unwrap();

    let wanted = ("id-shaky".to_owned(), "shop".to_owned(), "shaky".to_owned());
    assert_eq!(failed, [wanted]);
    assert!(store.list_failed_before(&second, "lint").await.unwrap().is_empty());
    assert!(store.list_failed_before(&attempt(&run, 2, 1), "unit").await.unwrap().is_empty());
    let other = run_of(&store, 2, "other").await;
    assert!(store.list_failed_before(&attempt(&other, 2, 1), "unit").await.unwrap().is_empty());
}

async fn reports_go_with_their_run(store: Store, _: &Database) {
    insert_shop(&store).await;
    let run = run_of(&store, 1, "tree").await;
    let failed = vec![case("shaky", CaseOutcome::Failed)];
    store.save_report(&report(&run, 1, "all", failed)).await.unwrap();
    store.save_gates(&run, "eval", &[gate(&run, "f1", 0.5)]).await.unwrap();
    set_status(&store, &run, trunkline::model::RunStatus::Failed).await;

    store.delete_run(&run).await.unwrap();

    assert!(store.list_cases(&run, None).await.unwrap().is_empty());
    assert!(store.list_reports(&run).await.unwrap().is_empty());
    assert!(store.list_gates(std::slice::from_ref(&run)).await.unwrap().is_empty());
    // What comes late of a run that is gone is no error.
    store.save_report(&report(&run, 2, "all", Vec::new())).await.unwrap();
    assert!(store.list_reports(&run).await.unwrap().is_empty());
}

async fn tests_are_counted_by_day(store: Store, _: &Database) {
    let project = insert_shop(&store).await;
    let run = run_of(&store, 1, "tree").await;
    for (number, day, name) in [(1, 3, "a"), (2, 3, "a"), (3, 4, "a"), (4, 4, "b"), (5, 1, "old")] {
        let outcome = if name == "b" { CaseOutcome::Flaky } else { CaseOutcome::Failed };
        let cases = vec![case(name, outcome), case("slow", CaseOutcome::Passed)];
        let at = Timestamp(day * DAY + i64::from(number));
        let executed = format!("set {number}");
        let report = AttemptReport { at, ..report(&run, number, &executed, cases) };
        store.save_report(&report).await.unwrap();
    }

    let rows = store.list_case_days(&project, Timestamp(2 * DAY)).await.unwrap();

    let told: Vec<_> = rows
        .iter()
        .map(|it| (it.day, it.name.as_str(), it.failed, it.flaky, it.last_at.0 % DAY))
        .collect();
    assert_eq!(told, [(3, "a", 2, 0, 2), (4, "a", 1, 0, 3), (4, "b", 0, 1, 4)]);
    assert_eq!(rows[0].last_run, run);
    let days = store.list_test_days(&project, Timestamp(2 * DAY)).await.unwrap();
    let told: Vec<_> = days.iter().map(|it| (it.day, it.attempts, it.failed)).collect();
    assert_eq!(told, [(3, 2, 2), (4, 2, 1)]);
}

fn gate(run: &RunId, metric: &str, value: f64) -> GateRow {
    GateRow {
        run: run.clone(),
        stage_key: "eval".to_owned(),
        metric: metric.to_owned(),
        comparison: ">= baseline".to_owned(),
        value: Some(value).filter(|it| it.is_finite()),
        baseline: None,
        passed: value > 0.8,
    }
}

async fn gates_are_those_of_the_last_attempt(store: Store, _: &Database) {
    insert_shop(&store).await;
    let run = run_of(&store, 1, "tree").await;
    let first = [gate(&run, "f1", 0.5), gate(&run, "gone", 1.0)];
    store.save_gates(&run, "eval", &first).await.unwrap();
    let last = [gate(&run, "f1", 0.9), gate(&run, "none", f64::NAN)];
    store.save_gates(&run, "eval", &last).await.unwrap();
    let values = [("f1".to_owned(), 0.9), ("other".to_owned(), 1.0)].into();
    store.save_metrics(&run, "eval", &values, Timestamp(1)).await.unwrap();

    assert_eq!(store.list_gates(&[run.clone(), run_id(9)]).await.unwrap(), last);
    assert!(store.list_gates(&[]).await.unwrap().is_empty());
    let names = ["f1".to_owned()];
    let metrics = store.list_metrics(std::slice::from_ref(&run), &names).await.unwrap();
    assert_eq!(metrics, [(run, "eval".to_owned(), "f1".to_owned(), 0.9)]);
}

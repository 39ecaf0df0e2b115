//! The tables `stage_results` and `metrics`.

use std::collections::BTreeMap;

use trunkline::model::{Digest, RunStatus, Timestamp};
use trunkline::store::Store;
use trunkline::store::runs::NewRun;

use crate::databases::{Database, on_each_database};
use crate::samples::{attempt, insert, insert_passed, new_run, outcome_with, pass, set_status};

on_each_database![
    the_newest_result_of_the_same_inputs_is_found,
    old_results_are_removed,
    a_baseline_is_the_newest_passed_run_of_its_branch,
    metrics_of_a_later_attempt_replace_the_earlier_ones,
    what_is_not_a_number_is_no_metric,
];

async fn the_newest_result_of_the_same_inputs_is_found(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    let inputs = Digest::of(b"inputs");
    assert_eq!(store.find_result(&inputs).await.unwrap(), None);
    for (number, at, value) in [(1, 10, 0.1), (2, 30, 0.2), (3, 20, 0.3), (2, 40, 0.4)] {
        let outcome = outcome_with("f1", value);
        let name = attempt(&run, 4, number);
        store.insert_result(&inputs, &name, &outcome, Timestamp(at)).await.unwrap();
    }

    let found = store.find_result(&inputs).await.unwrap();

    assert_eq!(found, Some((attempt(&run, 4, 2), outcome_with("f1", 0.2))));
    assert_eq!(store.find_result(&Digest::of(b"others")).await.unwrap(), None);
}

async fn old_results_are_removed(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    for n in 1..=3 {
        let (inputs, at) = (Digest::of(&[n]), Timestamp(i64::from(n)));
        let name = attempt(&run, u32::from(n), 1);
        store.insert_result(&inputs, &name, &outcome_with("f1", 1.0), at).await.unwrap();
    }

    assert_eq!(store.delete_old_results(Timestamp(3)).await.unwrap(), 2);

    assert_eq!(store.find_result(&Digest::of(&[2])).await.unwrap(), None);
    assert!(store.find_result(&Digest::of(&[3])).await.unwrap().is_some());
}

async fn a_baseline_is_the_newest_passed_run_of_its_branch(store: Store, _: &Database) {
    assert!(store.find_baselines("/srv/shop", "ci", "main").await.unwrap().is_empty());
    for (n, value) in [(1, 0.1), (2, 0.2), (3, 0.3)] {
        let run = insert_passed(&store, n).await;
        store.save_metrics(&run, "eval", &metrics(&[("f1", value)]), Timestamp(1)).await.unwrap();
    }
    let two = insert_passed(&store, 4).await;
    store.save_metrics(&two, "eval", &metrics(&[("f1", 0.4)]), Timestamp(1)).await.unwrap();
    store.save_metrics(&two, "load", &metrics(&[("p95", 210.5)]), Timestamp(1)).await.unwrap();
    let failed = insert(&store, 5).await;
    set_status(&store, &failed, RunStatus::Failed).await;
    store.save_metrics(&failed, "eval", &metrics(&[("f1", 0.5)]), Timestamp(1)).await.unwrap();
    // Passed, as all its stages were skipped.
    let skipped = insert(&store, 7).await;
    set_status(&store, &skipped, RunStatus::Passed).await;
    store.save_metrics(&skipped, "eval", &metrics(&[("f1", 0.7)]), Timestamp(1)).await.unwrap();
    let other = NewRun { branch: "idea".into(), ..new_run(6) };
    store.insert_run(&other).await.unwrap();
    pass(&store, &other.id).await;

    let found = store.find_baselines("/srv/shop", "ci", "main").await.unwrap();

    let expected = BTreeMap::from([
        ("eval".to_owned(), metrics(&[("f1", 0.4)])),
        ("load".to_owned(), metrics(&[("p95", 210.5)])),
    ]);
    assert_eq!(found, expected);
    assert!(store.find_baselines("/srv/shop", "ci", "idea").await.unwrap().is_empty());
    assert!(store.find_baselines("/srv/shop", "nightly", "main").await.unwrap().is_empty());
    assert!(store.find_baselines("/srv/bank", "ci", "main").await.unwrap().is_empty());
}

async fn metrics_of_a_later_attempt_replace_the_earlier_ones(store: Store, _: &Database) {
    let run = insert_passed(&store, 1).await;
    let earlier = metrics(&[("f1", 0.1), ("gone", 1.0)]);
    store.save_metrics(&run, "eval", &earlier, Timestamp(1)).await.unwrap();
    let later = metrics(&[("f1", 0.2)]);
    store.save_metrics(&run, "eval", &later, Timestamp(2)).await.unwrap();

    let found = store.find_baselines("/srv/shop", "ci", "main").await.unwrap();

    assert_eq!(found["eval"], later);
}

async fn what_is_not_a_number_is_no_metric(store: Store, _: &Database) {
    let run = insert_passed(&store, 1).await;
    let values = metrics(&[("nan", f64::NAN), ("inf", f64::INFINITY), ("f1", -0.5)]);
    store.save_metrics(&run, "eval", &values, Timestamp(1)).await.unwrap();
    let (inputs, name) = (Digest::of(b"inputs"), attempt(&run, 0, 1));
    let outcome = outcome_with("nan", f64::NAN);
    store.insert_result(&inputs, &name, &outcome, Timestamp(1)).await.unwrap();

    let found = store.find_baselines("/srv/shop", "ci", "main").await.unwrap();
    assert_eq!(found["eval"], metrics(&[("f1", -0.5)]));
    let (_, outcome) = store.find_result(&inputs).await.unwrap().unwrap();
    assert!(outcome.metrics.is_empty());
}

fn metrics(values: &[(&str, f64)]) -> BTreeMap<String, f64> {
    values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

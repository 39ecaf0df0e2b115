//! Slots of concurrency groups.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use trunkline::model::{RunId, RunStatus, StageIndex, Timestamp};
use trunkline::store::Store;
use trunkline::store::groups::{SlotAnswer, SlotRequest};

use crate::databases::{Database, on_each_database};
use crate::samples::{insert, run_id, set_status};

on_each_database![
    a_slot_is_granted_once_and_stays_granted,
    the_lowest_place_is_served_first_then_the_oldest_run,
    stages_of_one_run_ask_each_for_itself,
    groups_do_not_know_of_each_other,
    a_run_that_finishes_gives_its_slots_back,
    a_run_that_is_gone_gives_its_slots_back,
    a_request_can_be_withdrawn,
    the_limit_holds_under_concurrency,
];

async fn a_slot_is_granted_once_and_stays_granted(store: Store, _: &Database) {
    for n in 1..=3 {
        insert(&store, n).await;
    }
    assert_eq!(ask(&store, 1, 0, 2).await, SlotAnswer::Granted);
    assert_eq!(ask(&store, 2, 0, 2).await, SlotAnswer::Granted);
    assert_eq!(ask(&store, 1, 0, 2).await, SlotAnswer::Granted);
    assert_eq!(ask(&store, 3, 0, 2).await, behind(&[1, 2]));
    assert_eq!(ask(&store, 1, 0, 1).await, SlotAnswer::Granted);

    store.release_slot("run:deploy", &run_id(1), None).await.unwrap();
    assert_eq!(ask(&store, 3, 0, 2).await, SlotAnswer::Granted);
    let listed = store.list_group("run:deploy").await.unwrap();
    assert_eq!(listed, [run_id(2), run_id(3)]);
}

async fn the_lowest_place_is_served_first_then_the_oldest_run(store: Store, _: &Database) {
    for n in 1..=4 {
        insert(&store, n).await;
    }
    assert_eq!(ask(&store, 4, 9, 1).await, SlotAnswer::Granted);
    assert_eq!(ask(&store, 2, 7, 1).await, behind(&[4]));
    assert_eq!(ask(&store, 1, 7, 1).await, behind(&[4]));
    assert_eq!(ask(&store, 3, 5, 1).await, behind(&[4]));
    assert_eq!(ask(&store, 2, 7, 1).await, behind(&[4, 3, 1]));

    store.release_slot("run:deploy", &run_id(4), None).await.unwrap();
    assert_eq!(ask(&store, 1, 7, 1).await, behind(&[3]));
    assert_eq!(ask(&store, 3, 5, 1).await, SlotAnswer::Granted);
}

async fn stages_of_one_run_ask_each_for_itself(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    let request = |stage| SlotRequest {
        group: "stage:gpu",
        run: &run,
        stage: Some(StageIndex(stage)),
        limit: 1,
        order: 0,
        height: 0,
        skip_outdated: false,
        now: Timestamp(0),
    };
    assert_eq!(store.request_slot(&request(0)).await.unwrap(), SlotAnswer::Granted);
    assert_eq!(store.request_slot(&request(1)).await.unwrap(), behind(&[1]));
    assert_eq!(store.request_slot(&request(2)).await.unwrap(), behind(&[1]));
    assert!(store.list_group("stage:gpu").await.unwrap().is_empty());

    store.release_slot("stage:gpu", &run, Some(StageIndex(0))).await.unwrap();
    assert_eq!(store.request_slot(&request(1)).await.unwrap(), SlotAnswer::Granted);
}

async fn groups_do_not_know_of_each_other(store: Store, _: &Database) {
    for n in 1..=2 {
        insert(&store, n).await;
    }
    assert_eq!(ask(&store, 1, 0, 1).await, SlotAnswer::Granted);
    let (one, two) = (run_id(1), run_id(2));
    let request = SlotRequest { group: "run:docs", ..request(&two, 0, 1) };
    assert_eq!(store.request_slot(&request).await.unwrap(), SlotAnswer::Granted);

    store.release_slots_of(&one).await.unwrap();
    assert!(store.list_group("run:deploy").await.unwrap().is_empty());
    assert_eq!(store.list_group("run:docs").await.unwrap(), [two]);
}

async fn a_run_that_finishes_gives_its_slots_back(store: Store, _: &Database) {
    for n in 1..=2 {
        insert(&store, n).await;
    }
    assert_eq!(ask(&store, 1, 0, 1).await, SlotAnswer::Granted);
    set_status(&store, &run_id(1), RunStatus::Failed).await;
    assert_eq!(ask(&store, 2, 0, 1).await, SlotAnswer::Granted);

    // It is tried again: what it had before does not come back to life.
    set_status(&store, &run_id(1), RunStatus::Running).await;
    assert_eq!(ask(&store, 1, 0, 1).await, behind(&[2]));
}

async fn a_run_that_is_gone_gives_its_slots_back(store: Store, database: &Database) {
    for n in 1..=3 {
        insert(&store, n).await;
    }
    assert_eq!(ask(&store, 1, 0, 1).await, SlotAnswer::Granted);
    database.execute("UPDATE runs SET status = 'failed' WHERE number = 1").await;
    assert_eq!(ask(&store, 1, 0, 1).await, behind(&[]));
    assert_eq!(ask(&store, 2, 0, 1).await, SlotAnswer::Granted);
    assert_eq!(store.list_group("run:deploy").await.unwrap(), [run_id(2)]);

    database.execute("UPDATE runs SET status = 'failed' WHERE number = 2").await;
    store.delete_run(&run_id(2)).await.unwrap();
    assert_eq!(ask(&store, 3, 0, 1).await, SlotAnswer::Granted);
}

async fn a_request_can_be_withdrawn(store: Store, _: &Database) {
    for n in 1..=3 {
        insert(&store, n).await;
    }
    ask(&store, 1, 0, 1).await;
    ask(&store, 2, 0, 1).await;
    assert_eq!(ask(&store, 3, 0, 1).await, behind(&[1, 2]));

    store.release_slot("run:deploy", &run_id(2), None).await.unwrap();
    assert_eq!(ask(&store, 3, 0, 1).await, behind(&[1]));
}

async fn the_limit_holds_under_concurrency(store: Store, database: &Database) {
    const LIMIT: u32 = 3;
    let holders = Arc::new(AtomicI32::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..24 {
        insert(&store, n).await;
    }
    let other = database.open().await;
    for n in 0..24 {
        let store = if n % 2 == 0 { store.clone() } else { other.clone() };
        let holders = Arc::clone(&holders);
        tasks.spawn(async move {
            while ask(&store, n, i64::from(n), LIMIT).await != SlotAnswer::Granted {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            let now = holders.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::task::yield_now().await;
            holders.fetch_sub(1, Ordering::SeqCst);
            store.release_slot("run:deploy", &run_id(n), None).await.unwrap();
            now
        });
    }
    let most = tasks.join_all().await.into_iter().max().unwrap();
    assert!(most <= 3, "{most} had a slot at once");
    assert!(store.list_group("run:deploy").await.unwrap().is_empty());
}

fn request(run: &RunId, order: i64, limit: u32) -> SlotRequest<'_> {
    SlotRequest {
        group: "run:deploy",
        run,
        stage: None,
        limit,
        order,
        height: 0,
        skip_outdated: false,
        now: Timestamp(0),
    }
}

async fn ask(store: &Store, n: u32, order: i64, limit: u32) -> SlotAnswer {
    store.request_slot(&request(&run_id(n), order, limit)).await.unwrap()
}

fn behind(runs: &[u32]) -> SlotAnswer {
    SlotAnswer::Waiting { behind: runs.iter().copied().map(run_id).collect() }
}

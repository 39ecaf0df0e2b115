//! Which traces are still to be sent.

use trunkline::model::{RunStatus, Timestamp};
use trunkline::store::Store;

use crate::databases::{Database, on_each_database};
use crate::samples::{insert, insert_passed, run_id, set_status};

on_each_database![a_finished_run_is_sent_once_and_by_one, a_run_that_ends_again_is_sent_again];

const NOW: Timestamp = Timestamp(6000);

async fn a_finished_run_is_sent_once_and_by_one(store: Store, _: &Database) {
    insert(&store, 1).await;
    insert_passed(&store, 2).await;
    let list = async |since, now| store.list_untraced_runs(Timestamp(since), now, 9).await.unwrap();
    assert_eq!(list(5001, NOW).await, [], "it ended at 5000");
    let due = list(0, NOW).await;
    assert_eq!(due.iter().map(|it| &it.id).collect::<Vec<_>>(), [&run_id(2)]);
    assert!(store.claim_trace(&due[0], Timestamp(7000)).await.unwrap());
    assert!(!store.claim_trace(&due[0], Timestamp(7000)).await.unwrap(), "somebody was faster");
    assert_eq!(list(0, Timestamp(6999)).await, []);
    assert_eq!(list(0, Timestamp(7000)).await.len(), 1, "whoever had it is gone");
    store.save_traced(&run_id(2), 2).await.unwrap();
    assert_eq!(list(0, Timestamp(9000)).await, []);
}

async fn a_run_that_ends_again_is_sent_again(store: Store, _: &Database) {
    let run = insert_passed(&store, 1).await;
    store.save_traced(&run, 1).await.unwrap();
    set_status(&store, &run, RunStatus::Failed).await;
    let due = store.list_untraced_runs(Timestamp(0), NOW, 9).await.unwrap();
    assert_eq!(due.iter().map(|it| it.traced).collect::<Vec<_>>(), [1]);
}

//! The lease of a run.

use trunkline::model::{RunId, Timestamp};
use trunkline::store::Store;
use trunkline::store::fleet::LeaseClaim;

use crate::databases::{Database, on_each_database};
use crate::samples::{insert, run_id};

on_each_database![
    a_free_lease_is_claimed_with_the_next_epoch,
    a_held_lease_is_not_claimed_until_it_is_over,
    a_lease_can_be_stolen_from_the_dead,
    only_the_holder_renews_and_releases,
    of_many_claims_one_wins,
];

async fn a_free_lease_is_claimed_with_the_next_epoch(store: Store, _: &Database) {
    let run = insert(&store, 1).await;

    assert_eq!(claim(&store, &run, "a", 0, false).await, Some(1));
    store.release_lease(&run, 1).await.unwrap();
    assert_eq!(claim(&store, &run, "b", 1, false).await, Some(2));

    let row = store.find_run(&run).await.unwrap().unwrap();
    assert_eq!((row.lease_epoch, row.lease_owner.as_str()), (2, "b"));
    assert_eq!(row.lease_until, Timestamp(11));
    assert_eq!(claim(&store, &run_id(2), "b", 1, true).await, None);
}

async fn a_held_lease_is_not_claimed_until_it_is_over(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    claim(&store, &run, "a", 0, false).await;

    assert_eq!(claim(&store, &run, "b", 9, false).await, None);
    // The same state folder: its lock says that the holder is dead.
    assert_eq!(claim(&store, &run, "a", 9, false).await, Some(2));
    assert_eq!(claim(&store, &run, "b", 18, false).await, None);
    assert_eq!(claim(&store, &run, "b", 19, false).await, Some(3));
}

async fn a_lease_can_be_stolen_from_the_dead(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    claim(&store, &run, "a", 0, false).await;

    assert_eq!(claim(&store, &run, "b", 1, true).await, Some(2));
    assert!(!store.renew_lease(&run, 1, Timestamp(99)).await.unwrap());
}

async fn only_the_holder_renews_and_releases(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    assert!(!store.renew_lease(&run, 0, Timestamp(99)).await.unwrap());
    claim(&store, &run, "a", 0, false).await;
    claim(&store, &run, "b", 10, false).await;

    assert!(!store.renew_lease(&run, 1, Timestamp(99)).await.unwrap());
    store.release_lease(&run, 1).await.unwrap();
    assert!(store.renew_lease(&run, 2, Timestamp(50)).await.unwrap());
    assert_eq!(claim(&store, &run, "a", 49, false).await, None);

    store.release_lease(&run, 2).await.unwrap();
    assert!(!store.renew_lease(&run, 2, Timestamp(99)).await.unwrap());
}

async fn of_many_claims_one_wins(store: Store, database: &Database) {
    for n in 0..10 {
        insert(&store, n).await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let store = if task % 2 == 0 { store.clone() } else { database.open().await };
        tasks.spawn(async move {
            let mut claimed = Vec::new();
            for n in 0..10 {
                if claim(&store, &run_id(n), &format!("task-{task}"), 0, false).await.is_some() {
                    claimed.push(n);
                }
            }
            claimed
        });
    }
    let mut claimed = tasks.join_all().await.concat();
    claimed.sort_unstable();
    assert_eq!(claimed, (0..10).collect::<Vec<_>>());
}

/// Claims for ten milliseconds.
async fn claim(store: &Store, run: &RunId, owner: &str, now: i64, steal: bool) -> Option<i64> {
    let claim = LeaseClaim {
        run,
        owner,
        instance: owner,
        now: Timestamp(now),
        until: Timestamp(now + 10),
        steal,
    };
    store.claim_lease(&claim).await.unwrap()
}

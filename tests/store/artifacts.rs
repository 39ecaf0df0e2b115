//! The table `artifacts`, and what is referred to.

use trunkline::engine::{ArtifactRef, AttemptOutcome};
use trunkline::model::{Digest, RunId, RunStatus, Timestamp};
use trunkline::store::Store;
use trunkline::store::artifacts::ArtifactRow;
use trunkline::store::caches::CacheRow;

use crate::databases::{Database, on_each_database};
use crate::samples::{attempt, insert, insert_passed, run_id, set_status};

on_each_database![
    artifacts_are_listed_by_stage_and_path,
    an_artifact_that_is_there_is_left_as_it_is,
    hundreds_of_artifacts_are_inserted_at_once,
    artifacts_expire_when_their_run_has_finished,
    a_blob_is_referred_to_by_artifacts_caches_and_results,
];

async fn artifacts_are_listed_by_stage_and_path(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    insert(&store, 2).await;
    let rows = [
        artifact(&run, 10, "a"),
        artifact(&run, 2, "b"),
        artifact(&run, 2, "a"),
        artifact(&run_id(2), 0, "z"),
    ];
    store.insert_artifacts(&rows).await.unwrap();

    let listed = store.list_artifacts(&run).await.unwrap();

    assert_eq!(listed, [rows[2].clone(), rows[1].clone(), rows[0].clone()]);
}

async fn an_artifact_that_is_there_is_left_as_it_is(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    let first = artifact(&run, 0, "out");
    store.insert_artifacts(std::slice::from_ref(&first)).await.unwrap();
    let changed = ArtifactRow { size_bytes: 99, ..first.clone() };
    let second = artifact(&run, 0, "report");

    store.insert_artifacts(&[changed, second.clone()]).await.unwrap();
    store.insert_artifacts(&[]).await.unwrap();

    assert_eq!(store.list_artifacts(&run).await.unwrap(), [first, second]);
}

async fn hundreds_of_artifacts_are_inserted_at_once(store: Store, _: &Database) {
    let run = insert(&store, 1).await;
    let rows: Vec<_> = (0..2500).map(|n| artifact(&run, 0, &format!("{n:05}"))).collect();

    store.insert_artifacts(&rows).await.unwrap();

    assert_eq!(store.list_artifacts(&run).await.unwrap(), rows);
}

async fn artifacts_expire_when_their_run_has_finished(store: Store, _: &Database) {
    let passed = insert_passed(&store, 1).await;
    let running = insert(&store, 2).await;
    let short = |run| ArtifactRow { expires_at: Timestamp(100), ..artifact(run, 0, "short") };
    let long = |run| ArtifactRow { expires_at: Timestamp(200), ..artifact(run, 0, "long") };
    let rows = [short(&passed), long(&passed), short(&running)];
    store.insert_artifacts(&rows).await.unwrap();

    assert_eq!(store.delete_expired_artifacts(Timestamp(99)).await.unwrap(), 0);
    assert_eq!(store.delete_expired_artifacts(Timestamp(100)).await.unwrap(), 1);
    assert_eq!(store.list_artifacts(&passed).await.unwrap(), [long(&passed)]);
    assert_eq!(store.list_artifacts(&running).await.unwrap(), [short(&running)]);

    set_status(&store, &running, RunStatus::Cancelled).await;
    assert_eq!(store.delete_expired_artifacts(Timestamp(100)).await.unwrap(), 1);
}

async fn a_blob_is_referred_to_by_artifacts_caches_and_results(store: Store, _: &Database) {
    let run = insert_passed(&store, 1).await;
    let shared = Digest::of(b"out");
    store.insert_artifacts(&[artifact(&run, 0, "out"), artifact(&run, 1, "out")]).await.unwrap();
    let cached = Digest::of(b"cached");
    let cache = CacheRow {
        scope: "shop".into(),
        key: "cargo".into(),
        digest: cached.clone(),
        size_bytes: 1,
        used_at: Timestamp(0),
        created_at: Timestamp(0),
    };
    store.insert_cache(&cache).await.unwrap();
    let result = Digest::of(b"result");
    let reference = |digest: &Digest| ArtifactRef {
        path: "out".into(),
        digest: digest.clone(),
        size_bytes: 1,
        unpacked_bytes: None,
        files: 1,
    };
    let artifacts = vec![reference(&result), reference(&shared), reference(&result)];
    let outcome = AttemptOutcome { artifacts, ..AttemptOutcome::default() };
    let inputs = Digest::of(b"inputs");
    store.insert_result(&inputs, &attempt(&run, 0, 1), &outcome, Timestamp(0)).await.unwrap();

    assert_eq!(referenced(&store).await, sorted([&shared, &cached, &result]));
    store.delete_expired_artifacts(Timestamp(i64::MAX)).await.unwrap();
    assert_eq!(referenced(&store).await, sorted([&shared, &cached, &result]));
    store.delete_old_results(Timestamp(1)).await.unwrap();
    assert_eq!(referenced(&store).await, [cached]);
}

async fn referenced(store: &Store) -> Vec<Digest> {
    sorted(&store.list_referenced_blobs().await.unwrap())
}

fn sorted<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Vec<Digest> {
    let mut digests: Vec<_> = digests.into_iter().cloned().collect();
    digests.sort();
    digests
}

fn artifact(run: &RunId, stage: u32, path: &str) -> ArtifactRow {
    ArtifactRow {
        attempt: attempt(run, stage, 1),
        stage_key: format!("stage-{stage}"),
        path: path.into(),
        digest: Digest::of(path.as_bytes()),
        size_bytes: 7,
        files: 1,
        expires_at: Timestamp(9),
    }
}

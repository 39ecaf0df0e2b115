//! Rotation, while everything goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::Connection as _;
use trunkline::model::{Clock as _, ProjectId, TeamId, Timestamp};
use trunkline::secrets::SealError;
use trunkline::secrets::rotation::Rotated;
use trunkline::store::sealed::rotations::RotationRow;

use crate::place::Place;

async fn rotate(place: &Place) -> Rotated {
    place.sealer.rotate("me", "person:ada").await.unwrap()
}

#[tokio::test]
async fn after_a_rotation_everything_is_under_new_keys() {
    let place = Place::new().await;
    place.set(("", ""), "hunter22").await;
    let before = place.sealer.status().await.unwrap();
    let rotated = rotate(&place).await;
    assert_eq!((rotated.resealed, rotated.unreadable), (1, 0));
    let after = place.sealer.status().await.unwrap();
    assert_eq!(after.data_keys.len(), 2);
    assert!(after.data_keys.iter().all(|it| it.wrapped_by == rotated.wrapped_by));
    assert_ne!(before.data_keys[0].wrapped_by, rotated.wrapped_by);
    assert_eq!((after.data_keys[0].texts, after.data_keys[1].texts), (0, 1));

    place.clock.by_days(2);
    rotate(&place).await;
    let kept = place.sealer.status().await.unwrap().data_keys;
    assert_eq!(kept.len(), 2, "the first data key opens nothing and is gone: {kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_writes_go_on_during_a_rotation() {
    let place = Arc::new(Place::new().await);
    for number in 0..250 {
        place.set(("", &format!("e{number}")), &format!("value {number}")).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    let (reader, is_done) = (place.clone(), done.clone());
    tasks.spawn(async move {
        let mut reads = 0_u32;
        while !is_done.load(Ordering::SeqCst) || reads == 0 {
            let (team, project) = (TeamId("t-shop".into()), ProjectId(String::new()));
            let rows = reader.store.list_secrets(&team, &project).await.unwrap();
            for row in rows.into_iter().step_by(50) {
                let purpose = format!("secret/t-shop//{}/TOKEN", row.environment);
                let value = reader.sealer.open(&purpose, &row.sealed).await.unwrap();
                assert_eq!(value.replace("value ", "e"), row.environment);
                reads += 1;
            }
        }
    });
    for _ in 0..3 {
        let rotated = rotate(&place).await;
        assert_eq!((rotated.resealed, rotated.unreadable), (250, 0));
    }
    done.store(true, Ordering::SeqCst);
    tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_rotation_that_was_interrupted_is_gone_on_with_by_the_next() {
    let place = Place::new().await;
    place.set(("", ""), "hunter22").await;
    let now = place.clock.now();
    let dead = RotationRow {
        id: "01".into(),
        wrapped_by: String::new(),
        data_key: String::new(),
        owner: "a dead process".into(),
        owned_until: Timestamp(now.0 + 60_000),
        started_at: now,
        finished_at: Timestamp(0),
    };
    place.store.claim_rotation(&dead).await.unwrap().unwrap();
    let error = place.sealer.rotate("me", "system").await.unwrap_err();
    assert!(matches!(error, SealError::UnderWay), "{error}");
    assert_eq!(place.sealer.rotate_when_due("me").await.unwrap(), None);

    place.clock.by_days(1);
    let rotated = place.sealer.rotate_when_due("me").await.unwrap().unwrap();
    assert_eq!(rotated.resealed, 1);
    let last = place.store.find_last_rotation().await.unwrap().unwrap();
    assert_eq!((last.id.as_str(), last.owner.as_str()), ("01", "me"));
}

#[tokio::test]
async fn keys_are_rotated_every_month_and_not_before() {
    let place = Place::new().await;
    assert_eq!(place.sealer.rotate_when_due("me").await.unwrap(), None, "nothing is sealed yet");
    place.set(("", ""), "hunter22").await;
    place.clock.by_days(29);
    assert_eq!(place.sealer.rotate_when_due("me").await.unwrap(), None);
    place.clock.by_days(1);
    assert!(place.sealer.rotate_when_due("me").await.unwrap().is_some());
    assert_eq!(place.sealer.rotate_when_due("me").await.unwrap(), None);
}

#[tokio::test]
async fn a_text_that_nobody_can_open_does_not_stop_the_rest() {
    let place = Place::new().await;
    for environment in ["a", "b", "c"] {
        place.set(("", environment), "hunter22").await;
    }
    let url = format!("sqlite:{}", place.folder.path().join("state.db").display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let sql = "UPDATE secrets SET sealed = 'v1.x.y.z' WHERE environment = 'b'";
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    let rotated = rotate(&place).await;
    assert_eq!((rotated.resealed, rotated.unreadable), (2, 1));
}

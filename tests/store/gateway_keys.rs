//! Keys that calls of models come with.

use trunkline::model::{AttemptName, StageIndex, Timestamp};
use trunkline::store::access::gateway_keys::GatewayKeyRow;
use trunkline::store::{Store, StoreError};

use crate::databases::{Database, on_each_database};
use crate::samples::run_id;

on_each_database![
    a_key_of_an_attempt_is_found_until_it_is_deleted_or_long_expired,
    a_team_has_one_valid_key_of_a_name,
    a_key_is_replaced_and_goes_on_for_a_while,
    a_replaced_key_is_ended_with_the_one_in_its_place,
    a_key_that_has_ended_makes_room_for_another,
    a_key_says_when_it_was_used_last,
];

fn attempt(n: u32) -> AttemptName {
    AttemptName { run: run_id(n), stage: StageIndex(0), attempt: 1 }
}

fn row(digest: &str, name: &str) -> GatewayKeyRow {
    GatewayKeyRow {
        digest: digest.to_owned(),
        name: name.to_owned(),
        team: String::new(),
        attempt: String::new(),
        subject: [("run".to_owned(), "7".to_owned())].into(),
        models: vec!["gpt-*".to_owned()],
        per_minute: Some(60),
        created_by: "ada".to_owned(),
        created_at: Timestamp(1),
        expires_at: Some(Timestamp(100)),
        ..GatewayKeyRow::default()
    }
}

async fn a_key_of_an_attempt_is_found_until_it_is_deleted_or_long_expired(
    store: Store,
    _: &Database,
) {
    let first = GatewayKeyRow { attempt: attempt(1).slug(), ..row("d1", "a1") };
    let second = GatewayKeyRow { attempt: attempt(2).slug(), ..row("d2", "a2") };
    store.save_gateway_key(&first).await.unwrap();
    store.save_gateway_key(&second).await.unwrap();
    assert_eq!(store.find_gateway_key("d1").await.unwrap(), Some(first.clone()));
    assert_eq!(store.find_gateway_key("d3").await.unwrap(), None);

    // Adopted: it lasts longer.
    let adopted = GatewayKeyRow { expires_at: Some(Timestamp(300)), ..second.clone() };
    store.save_gateway_key(&adopted).await.unwrap();
    assert_eq!(store.find_gateway_key("d2").await.unwrap(), Some(adopted));

    store.delete_gateway_keys_of(&attempt(2)).await.unwrap();
    assert_eq!(store.find_gateway_key("d2").await.unwrap(), None);
    let third = GatewayKeyRow { attempt: attempt(3).slug(), ..row("d3", "a3") };
    store.save_gateway_key(&GatewayKeyRow { created_at: Timestamp(101), ..third }).await.unwrap();
    assert_eq!(store.find_gateway_key("d1").await.unwrap(), None, "nobody ended it");
    assert!(store.list_gateway_keys("").await.unwrap().is_empty(), "attempts' keys are not listed");
}

async fn a_team_has_one_valid_key_of_a_name(store: Store, _: &Database) {
    let of = |team: &str, digest: &str| GatewayKeyRow {
        team: team.to_owned(),
        expires_at: None,
        ..row(digest, "app")
    };
    store.save_gateway_key(&of("t1", "d1")).await.unwrap();
    store.save_gateway_key(&of("t2", "d2")).await.unwrap();
    let taken = store.save_gateway_key(&of("t1", "d3")).await;
    assert!(matches!(taken, Err(StoreError::Taken { .. })), "{taken:?}");

    assert!(store.revoke_gateway_key(("t1", "app"), Timestamp(5)).await.unwrap());
    assert!(!store.revoke_gateway_key(("t1", "app"), Timestamp(6)).await.unwrap());
    let found = store.find_gateway_key("d1").await.unwrap().unwrap();
    assert_eq!(found.revoked_at, Some(Timestamp(5)));
    store
        .save_gateway_key(&GatewayKeyRow { created_at: Timestamp(7), ..of("t1", "d3") })
        .await
        .unwrap();
    let listed = store.list_gateway_keys("t1").await.unwrap();
    assert_eq!(listed.iter().map(|it| it.digest.as_str()).collect::<Vec<_>>(), ["d3", "d1"]);
}

fn of_app(digest: &str, created_at: i64, expires_at: Option<i64>) -> GatewayKeyRow {
    GatewayKeyRow {
        team: "t1".to_owned(),
        created_at: Timestamp(created_at),
        expires_at: expires_at.map(Timestamp),
        ..row(digest, "app")
    }
}

async fn a_key_is_replaced_and_goes_on_for_a_while(store: Store, _: &Database) {
    let expires_at = async |digest: &str| {
        let found = store.find_gateway_key(digest).await.unwrap().unwrap();
        (found.expires_at, found.replaced_at)
    };
    assert!(!store.rotate_gateway_key(&of_app("d0", 1, None), Timestamp(50)).await.unwrap());
    assert_eq!(store.find_gateway_key("d0").await.unwrap(), None, "there was none to replace");
    store.save_gateway_key(&of_app("d1", 1, None)).await.unwrap();
    assert!(store.rotate_gateway_key(&of_app("d2", 10, Some(40)), Timestamp(50)).await.unwrap());
    assert_eq!(expires_at("d1").await, (Some(Timestamp(50)), Some(Timestamp(10))));
    assert_eq!(expires_at("d2").await, (Some(Timestamp(40)), None));
    // It ends when it would have ended anyway.
    assert!(store.rotate_gateway_key(&of_app("d3", 20, None), Timestamp(90)).await.unwrap());
    assert_eq!(expires_at("d2").await, (Some(Timestamp(40)), Some(Timestamp(20))));
    assert_eq!(expires_at("d1").await, (Some(Timestamp(50)), Some(Timestamp(10))));
}

async fn a_replaced_key_is_ended_with_the_one_in_its_place(store: Store, _: &Database) {
    store.save_gateway_key(&of_app("d1", 1, None)).await.unwrap();
    assert!(store.rotate_gateway_key(&of_app("d2", 10, None), Timestamp(50)).await.unwrap());
    let taken = store.save_gateway_key(&of_app("d4", 21, None)).await;
    assert!(matches!(taken, Err(StoreError::Taken { .. })), "{taken:?}");
    let elsewhere = GatewayKeyRow { team: "t2".to_owned(), ..of_app("d5", 22, None) };
    assert!(!store.rotate_gateway_key(&elsewhere, Timestamp(90)).await.unwrap());
    // All of this name.
    assert!(store.revoke_gateway_key(("t1", "app"), Timestamp(30)).await.unwrap());
    for row in store.list_gateway_keys("t1").await.unwrap() {
        assert_eq!(row.revoked_at, Some(Timestamp(30)), "{row:?}");
    }
    assert!(!store.rotate_gateway_key(&of_app("d6", 31, None), Timestamp(90)).await.unwrap());
}

async fn a_key_that_has_ended_makes_room_for_another(store: Store, _: &Database) {
    store.save_gateway_key(&of_app("d1", 1, Some(10))).await.unwrap();
    let taken = store.save_gateway_key(&of_app("d2", 9, None)).await;
    assert!(matches!(taken, Err(StoreError::Taken { .. })), "{taken:?}");
    assert!(!store.rotate_gateway_key(&of_app("d2", 11, None), Timestamp(50)).await.unwrap());
    store.save_gateway_key(&of_app("d2", 11, None)).await.unwrap();
    let ended = store.find_gateway_key("d1").await.unwrap().unwrap();
    assert_eq!(ended.revoked_at, Some(Timestamp(10)));
}

async fn a_key_says_when_it_was_used_last(store: Store, _: &Database) {
    store.save_gateway_key(&of_app("d1", 1, None)).await.unwrap();
    let used = async || store.find_gateway_key("d1").await.unwrap().unwrap().used_at;
    assert_eq!(used().await, None);
    store.touch_gateway_key("d1", (Timestamp(100), Timestamp(40))).await.unwrap();
    store.touch_gateway_key("d1", (Timestamp(130), Timestamp(70))).await.unwrap();
    assert_eq!(used().await, Some(Timestamp(100)), "it was told just before");
    store.touch_gateway_key("d1", (Timestamp(170), Timestamp(110))).await.unwrap();
    assert_eq!(used().await, Some(Timestamp(170)));
}

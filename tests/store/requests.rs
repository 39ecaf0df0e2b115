//! The table `requests`, and changes of a project that nobody overwrites.

use trunkline::model::{ForgeKind, Milliseconds, ProjectId, TeamId, Timestamp};
use trunkline::store::access::projects::ProjectRow;
use trunkline::store::access::requests::{Claimed, RequestClaim};
use trunkline::store::access::teams::TeamRow;
use trunkline::store::{Store, StoreError};

use crate::databases::{Database, on_each_database};

on_each_database!(
    a_request_is_claimed_once_and_a_dead_process_is_given_up,
    a_key_stands_for_one_request_until_it_is_old,
    old_requests_are_swept,
    a_project_changes_only_from_what_was_seen,
);

fn claim(at: i64) -> RequestClaim {
    RequestClaim {
        id: "caller and key".to_owned(),
        digest: "body".to_owned(),
        at: Timestamp(at),
        kept: Milliseconds(10_000),
        patience: Milliseconds(1000),
    }
}

async fn a_request_is_claimed_once_and_a_dead_process_is_given_up(store: Store, _: &Database) {
    assert_eq!(store.claim_request(&claim(1)).await.unwrap(), Claimed::New);
    assert_eq!(store.claim_request(&claim(2)).await.unwrap(), Claimed::UnderWay);
    let second = claim(1002);
    assert_eq!(store.claim_request(&second).await.unwrap(), Claimed::New);
    store.save_answer(&claim(1), "late").await.unwrap();
    let dead = "a dead one's word is not taken";
    assert_eq!(store.claim_request(&claim(1003)).await.unwrap(), Claimed::UnderWay, "{dead}");
    store.save_answer(&second, "sealed").await.unwrap();
    let done = Claimed::Done("sealed".to_owned());
    assert_eq!(store.claim_request(&claim(1004)).await.unwrap(), done);
    store.delete_request(&claim(1)).await.unwrap();
    assert_eq!(store.claim_request(&claim(1005)).await.unwrap(), done);
    store.delete_request(&second).await.unwrap();
    assert_eq!(store.claim_request(&claim(1006)).await.unwrap(), Claimed::New);
}

async fn a_key_stands_for_one_request_until_it_is_old(store: Store, _: &Database) {
    let other = |at| RequestClaim { digest: "other".to_owned(), ..claim(at) };
    assert_eq!(store.claim_request(&claim(1)).await.unwrap(), Claimed::New);
    assert_eq!(store.claim_request(&other(2)).await.unwrap(), Claimed::Other);
    store.save_answer(&claim(1), "sealed").await.unwrap();
    assert_eq!(store.claim_request(&other(10_001)).await.unwrap(), Claimed::Other);
    assert_eq!(store.claim_request(&other(10_002)).await.unwrap(), Claimed::New);
    assert_eq!(store.claim_request(&claim(10_003)).await.unwrap(), Claimed::Other);
}

async fn old_requests_are_swept(store: Store, _: &Database) {
    store.claim_request(&claim(1)).await.unwrap();
    store.save_answer(&claim(1), "sealed").await.unwrap();
    let later = RequestClaim { id: "another".to_owned(), ..claim(20_000) };
    assert_eq!(store.claim_request(&later).await.unwrap(), Claimed::New);
    // Only a row that is gone is new to somebody whose clock is behind.
    assert_eq!(store.claim_request(&claim(2)).await.unwrap(), Claimed::New);
}

async fn a_project_changes_only_from_what_was_seen(store: Store, _: &Database) {
    let text = str::to_owned;
    let (id, created_at) = (TeamId(text("t1")), Timestamp(1));
    let team =
        TeamRow { id: id.clone(), name: text("shop"), title: text(""), weight: 1, created_at };
    store.insert_team(&team).await.unwrap();
    let first = ProjectRow {
        id: ProjectId(text("p1")),
        team: id,
        team_name: text("shop"),
        name: text("web"),
        address: text("https://git.example.org/web.git"),
        forge: ForgeKind::Git,
        forge_url: String::new(),
        forge_path: String::new(),
        default_branch: text("main"),
        priority: 0,
        poll_seconds: 0,
        created_at,
        archived_at: None,
    };
    store.insert_project(&first).await.unwrap();
    let second = ProjectRow { archived_at: Some(Timestamp(7)), priority: 3, ..first.clone() };
    store.change_project(&first, &second).await.unwrap();
    assert_eq!(store.find_project(&first.id).await.unwrap(), Some(second.clone()));
    let theirs = ProjectRow { default_branch: text("trunk"), ..first.clone() };
    let refused = store.change_project(&first, &theirs).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert_eq!(store.find_project(&first.id).await.unwrap(), Some(second.clone()));
    store.change_project(&second, &first).await.unwrap();
    assert_eq!(store.find_project(&first.id).await.unwrap(), Some(first));
}

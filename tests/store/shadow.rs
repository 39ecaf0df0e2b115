//! Calls that a candidate has answered as well.

use trunkline::model::{Timestamp, UsdNanos};
use trunkline::store::Store;
use trunkline::store::spend::requests::shadow::PairRow;

use crate::databases::{Database, on_each_database};

on_each_database![pairs_are_kept_by_shadow_and_go_with_time];

fn pair(id: &str, shadow: &str, at: i64) -> PairRow {
    PairRow {
        id: id.to_owned(),
        shadow: shadow.to_owned(),
        at: Timestamp(at),
        request: "req_1".to_owned(),
        copy: "req_2".to_owned(),
        status: 200,
        copy_status: 500,
        reason: "status 500".to_owned(),
        total_ms: 12,
        copy_cost: UsdNanos(7),
        copy_refused: true,
        fits: Some(true),
        copy_fits: None,
        similarity: Some(0.25),
        overlap: Some(0.75),
        ..PairRow::default()
    }
}

async fn pairs_are_kept_by_shadow_and_go_with_time(store: Store, _: &Database) {
    let of_shop = PairRow { team: "shop".to_owned(), ..pair("p3", "a", 30) };
    let rows = [pair("p1", "a", 10), pair("p2", "b", 20), of_shop];
    for row in &rows {
        store.insert_shadow_pair(row).await.unwrap();
        // One that is told twice is one.
        store.insert_shadow_pair(row).await.unwrap();
    }
    let list = async |shadow: &str, since, limit| {
        store.list_shadow_pairs((shadow, None), Timestamp(since), limit).await.unwrap()
    };
    assert_eq!(list("a", 0, 10).await, [rows[2].clone(), rows[0].clone()]);
    assert_eq!(list("a", 11, 10).await, [rows[2].clone()]);
    assert_eq!(list("a", 0, 1).await, [rows[2].clone()], "the newest");
    assert_eq!(list("c", 0, 10).await, []);
    let of_team = async |team: &str| {
        store.list_shadow_pairs(("a", Some(team)), Timestamp(0), 10).await.unwrap()
    };
    assert_eq!(of_team("shop").await, [rows[2].clone()]);
    assert_eq!(of_team("bank").await, []);
    assert_eq!(store.delete_shadow_pairs(Timestamp(30), 1).await.unwrap(), 1);
    assert_eq!(store.delete_shadow_pairs(Timestamp(30), 9).await.unwrap(), 1);
    assert_eq!(list("a", 0, 10).await, [rows[2].clone()]);
}

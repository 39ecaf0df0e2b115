//! The table `caches`.

use trunkline::model::{Digest, Timestamp};
use trunkline::store::Store;
use trunkline::store::caches::CacheRow;

use crate::databases::{Database, on_each_database};

on_each_database![
    the_exact_key_comes_before_any_prefix,
    the_first_prefix_comes_before_a_newer_match_of_the_second,
    a_prefix_is_plain_text,
    a_cache_that_is_found_counts_as_used,
    a_cache_is_inserted_once,
    the_longest_unused_caches_go_first,
];

async fn the_exact_key_comes_before_any_prefix(store: Store, _: &Database) {
    insert(&store, "cargo-1", 10).await;
    insert(&store, "cargo-2", 20).await;
    let cargo = ["cargo-".to_owned()];

    assert_eq!(find(&store, "cargo-1", &cargo).await.as_deref(), Some("cargo-1"));
    assert_eq!(find(&store, "cargo-9", &cargo).await.as_deref(), Some("cargo-2"));
    assert_eq!(find(&store, "cargo-9", &[]).await, None);
    let other = store.find_cache("bank", "cargo-1", &cargo, Timestamp(99)).await.unwrap();
    assert_eq!(other, None);
}

async fn the_first_prefix_comes_before_a_newer_match_of_the_second(store: Store, _: &Database) {
    insert(&store, "linux-a", 10).await;
    insert(&store, "linux-b", 11).await;
    insert(&store, "mac-a", 20).await;
    let found = find(&store, "none", &["bsd-".into(), "linux-".into(), "mac-".into()]).await;
    assert_eq!(found.as_deref(), Some("linux-b"));
}

async fn a_prefix_is_plain_text(store: Store, _: &Database) {
    insert(&store, "a_b%c-Übung", 10).await;

    for (prefix, is_found) in
        [("a_b%c-Ü", true), ("", true), ("A_b", false), ("a%", false), ("__", false)]
    {
        let found = find(&store, "none", &[prefix.to_owned()]).await;
        assert_eq!(found.is_some(), is_found, "{prefix}");
    }
}

async fn a_cache_that_is_found_counts_as_used(store: Store, _: &Database) {
    insert(&store, "cargo-1", 10).await;

    let found = store.find_cache("shop", "cargo-1", &[], Timestamp(77)).await.unwrap().unwrap();

    assert_eq!(found, CacheRow { used_at: Timestamp(77), ..cache("cargo-1", 10) });
}

async fn a_cache_is_inserted_once(store: Store, _: &Database) {
    assert!(store.insert_cache(&cache("k", 1)).await.unwrap());
    assert!(!store.insert_cache(&cache("k", 2)).await.unwrap());
    let other = CacheRow { scope: "bank".into(), ..cache("k", 3) };
    assert!(store.insert_cache(&other).await.unwrap());

    let found = store.find_cache("shop", "k", &[], Timestamp(9)).await.unwrap().unwrap();
    assert_eq!(found.created_at, Timestamp(1));
}

async fn the_longest_unused_caches_go_first(store: Store, _: &Database) {
    for (key, used_at) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        insert(&store, key, used_at).await;
    }
    find(&store, "a", &[]).await;

    assert_eq!(store.delete_unused_caches(400).await.unwrap(), 0);
    assert_eq!(store.delete_unused_caches(399).await.unwrap(), 1);
    assert_eq!(find(&store, "b", &[]).await, None);
    assert_eq!(store.delete_unused_caches(100).await.unwrap(), 2);
    assert_eq!(find(&store, "a", &[]).await.as_deref(), Some("a"));
    assert_eq!(store.delete_unused_caches(99).await.unwrap(), 1);
    assert_eq!(store.delete_unused_caches(0).await.unwrap(), 0);
}

async fn insert(store: &Store, key: &str, created_at: i64) {
    assert!(store.insert_cache(&cache(key, created_at)).await.unwrap());
}

async fn find(store: &Store, key: &str, fallback: &[String]) -> Option<String> {
    let row = store.find_cache("shop", key, fallback, Timestamp(99)).await.unwrap();
    row.map(|it| it.key)
}

fn cache(key: &str, created_at: i64) -> CacheRow {
    CacheRow {
        scope: "shop".into(),
        key: key.into(),
        digest: Digest::of(key.as_bytes()),
        size_bytes: 100,
        used_at: Timestamp(created_at),
        created_at: Timestamp(created_at),
    }
}

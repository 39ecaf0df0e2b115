use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;

use super::kept::Content;
use super::*;
use crate::model::Timestamp;

#[derive(Debug, Default)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

fn cache(settings: CacheSettings, remote: Option<Remote>) -> (Cache, Arc<Hands>, TaskTracker) {
    let (clock, tasks) = (Arc::new(Hands::default()), TaskTracker::new());
    (Cache::new(settings, remote, clock.clone(), tasks.clone()), clock, tasks)
}

fn says(text: &str) -> Kept {
    Kept::json(Bytes::copy_from_slice(text.as_bytes()))
}

fn text(kept: &Kept) -> String {
    match &kept.content {
        Content::Whole(body) => String::from_utf8(body.to_vec()).unwrap(),
        Content::Stream(_) => panic!("{kept:?}"),
    }
}

#[tokio::test]
async fn what_is_kept_is_found_until_its_time_is_over() {
    let (cache, clock, _) = cache(CacheSettings::default(), None);
    cache.keep("a", says("1"), Milliseconds(1000));
    assert_eq!(cache.find("a").await.map(|it| text(&it)), Some("1".to_owned()));
    assert!(cache.find("b").await.is_none());
    clock.0.store(1000, Ordering::Relaxed);
    assert!(cache.find("a").await.is_none());
}

#[tokio::test]
async fn memory_is_bounded_by_bytes_and_giants_are_not_kept() {
    let settings =
        CacheSettings { memory_bytes: 100_000, entry_bytes: 5_000, ..Default::default() };
    let (cache, _, _) = cache(settings, None);
    cache.keep("giant", says(&"x".repeat(5_000)), Milliseconds(60_000));
    assert!(cache.find("giant").await.is_none());
    for number in 0..1000 {
        cache.keep(&number.to_string(), says(&"x".repeat(2_000)), Milliseconds(60_000));
    }
    cache.memory.run_pending_tasks();
    assert!(cache.memory.weighted_size() <= 100_000, "{}", cache.memory.weighted_size());
    assert!(cache.memory.entry_count() > 20, "{}", cache.memory.entry_count());
}

#[tokio::test]
async fn a_namespace_has_the_version_that_was_said_last() {
    let text = r#"namespace = [{ name = "docs", version = "1" }]"#;
    let (cache, _, _) = cache(toml::from_str(text).unwrap(), None);
    let version = async |tenant: &str, name: &str| cache.version(tenant, name).await.unwrap();
    assert_eq!((version("a", "docs").await.as_str(), version("a", "x").await.as_str()), ("1", ""));
    cache.set_version("a", "docs", "2").await.unwrap();
    assert_eq!(
        (version("a", "docs").await.as_str(), version("b", "docs").await.as_str()),
        ("2", "1")
    );
}

/// A Redis of the tests, or nothing where there is none.
#[expect(clippy::disallowed_methods, reason = "tests are told where it is")]
fn redis() -> Option<Remote> {
    let Ok(address) = std::env::var("TEST_REDIS_URL") else {
        assert!(std::env::var("CI").is_err(), "in CI `TEST_REDIS_URL` must be set");
        eprintln!("SKIPPED: `TEST_REDIS_URL` is not set; `deploy/setup redis` starts one");
        return None;
    };
    Some(Remote::new(&address, Duration::from_secs(5)).unwrap())
}

fn fresh(name: &str) -> String {
    format!("test-{name}-{:x}", fastrand::u128(..))
}

#[tokio::test]
async fn two_processes_share_what_redis_keeps() {
    let Some(remote) = redis() else { return };
    let (one, _, tasks) = cache(CacheSettings::default(), Some(remote.clone()));
    let (other, clock, _) = cache(CacheSettings::default(), Some(remote.clone()));
    let key = fresh("shared");
    one.keep(&key, says("{\"a\": 1}\n\n"), Milliseconds(60_000));
    tasks.close();
    tasks.wait().await;
    assert_eq!(other.find(&key).await.map(|it| text(&it)), Some("{\"a\": 1}\n\n".to_owned()));
    clock.0.store(60_000, Ordering::Relaxed);
    assert!(other.find(&key).await.is_none(), "its time is over, whatever Redis still has");

    let (tenant, name) = (fresh("tenant"), "docs");
    assert_eq!(other.version(&tenant, name).await.unwrap(), "");
    one.set_version(&tenant, name, "7").await.unwrap();
    assert_eq!(other.version(&tenant, name).await.unwrap(), "7", "at once, in the other too");
}

#[tokio::test]
async fn rubbish_in_redis_is_a_miss() {
    let Some(remote) = redis() else { return };
    let key = fresh("rubbish");
    let ttl = Duration::from_mins(1);
    remote.set_all(vec![(format!("entry:{key}"), b"not ours".to_vec())], ttl).await.unwrap();
    let (cache, _, _) = cache(CacheSettings::default(), Some(remote));
    assert!(cache.find(&key).await.is_none());
}

#[tokio::test]
async fn a_redis_that_is_down_is_a_miss_in_bounded_time_and_is_left_alone() {
    // This one takes connections and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("redis://{}", silent.local_addr().unwrap());
    for address in [address.as_str(), "redis://127.0.0.1:1"] {
        let remote = Remote::new(address, Duration::from_millis(50)).unwrap();
        let (cache, _, _) = cache(CacheSettings::default(), Some(remote.clone()));
        let started = Instant::now();
        assert!(cache.find("a").await.is_none());
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        assert_eq!(remote.get_all(&["a".to_owned()]).await, Err(remote::Down));
        assert_eq!(cache.version("t", "docs").await, None, "nothing that is kept may be used");
        assert_eq!(cache.version("t", settings::DEFAULT).await.as_deref(), Some(""));
        assert_eq!(cache.set_version("t", "docs", "2").await, Err(VersionError::Down));
        cache.keep("b", says("1"), Milliseconds(1000));
        assert!(cache.find("b").await.is_some(), "this process still has it");
    }
    drop(silent);
}

//! The gateway's own keys: whose calls they make, and how many. Only digests are kept: in memory those of
//! a file and of attempts that run here, and in the store those that several processes must know.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};

use super::budget::scope::Subject;
use super::cassette::Cassette;
use super::ledger::notes::Notes;
use super::prices::matcher::Matcher;
use super::route::Bucket;
use super::settings::CassetteMode;
use crate::model::{AttemptName, Milliseconds, Timestamp, TraceParent};
use crate::store::access::gateway_keys::GatewayKeyRow;
use crate::store::{Store, StoreError};

/// How long what the store said of a key counts: so long a key that was ended elsewhere may go on.
const FRESH_FOR: Milliseconds = Milliseconds(2_000);
/// Keys that were asked for and are kept at hand, those that are not there among them.
const LOOKED_UP_AT_MOST: usize = 10_000;
/// How exactly is told when a key was used last: not oftener than that is written.
const USE_TOLD_EVERY: i64 = 60_000;

/// What a key stands for.
#[derive(Debug, Clone, Default)]
pub struct Key {
    /// Its name, for the ledger.
    pub name: String,
    /// Whose calls it makes.
    pub subject: Subject,
    /// The models it may call; all, when it is not there.
    pub models: Option<Matcher>,
    /// Calls a minute; as many as it likes, when it is not there.
    pub per_minute: Option<u64>,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// The cassette of the gateway's folder that its calls are recorded in or replayed from.
    pub cassette: Option<String>,
    /// A cassette of its own, which wins over that.
    pub own: Option<OwnCassette>,
    /// Where an attempt of a stage learns what its calls came to.
    pub notes: Option<Arc<Notes>>,
    /// The span that its calls are made in, where they do not say so themselves.
    pub parent: Option<TraceParent>,
}

/// A cassette, and what it is for.
#[derive(Debug, Clone)]
pub struct OwnCassette {
    /// What it is for.
    pub mode: CassetteMode,
    /// The cassette; none for calls that only go out.
    pub cassette: Option<Arc<Cassette>>,
}

/// A key, and how much of its rate is left.
#[derive(Debug)]
pub struct Held {
    /// The key.
    pub key: Key,
    bucket: Option<Arc<Mutex<Bucket>>>,
}

impl Held {
    fn new(key: Key, bucket: Option<Arc<Mutex<Bucket>>>, now: Timestamp) -> Arc<Self> {
        let full = |it: u64| Arc::new(Mutex::new(Bucket::full(it, now)));
        let bucket = key.per_minute.map(|it| bucket.unwrap_or_else(|| full(it)));
        Arc::new(Self { key, bucket })
    }

    /// Takes one call of the key's rate, or says the rate and when there is one.
    pub fn take(&self, now: Timestamp) -> Result<(), (u64, Milliseconds)> {
        let Some((per_minute, bucket)) = self.key.per_minute.zip(self.bucket.as_ref()) else {
            return Ok(());
        };
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(per_minute, now).map_err(|it| (per_minute, it))
    }

    fn if_valid(self: &Arc<Self>, now: Timestamp) -> Option<Arc<Self>> {
        self.key.expires.is_none_or(|it| now < it).then(|| self.clone())
    }
}

type KeyDigest = [u8; 32];

/// What the store said of a key, and until when that counts.
type LookedUp = (Timestamp, Option<Arc<Held>>);

/// All keys, by digest.
#[derive(Debug, Default)]
pub struct Keys {
    here: RwLock<HashMap<KeyDigest, Arc<Held>>>,
    store: Option<Store>,
    looked_up: Mutex<HashMap<KeyDigest, LookedUp>>,
}

impl Keys {
    /// None yet; those of a store are asked for.
    #[must_use]
    pub fn new(store: Option<Store>) -> Self {
        Self { store, ..Self::default() }
    }

    /// Adds a key by the digest of its text.
    pub fn insert(&self, digest: KeyDigest, key: Key, now: Timestamp) {
        let held = Held::new(key, None, now);
        self.here.write().unwrap_or_else(PoisonError::into_inner).insert(digest, held);
    }

    /// Lets no more calls in with a key that was added here, and asks no store for it. Calls that are under way go on.
    pub fn close(&self, digest: &KeyDigest) {
        let ended = Key { expires: Some(Timestamp(i64::MIN)), ..Key::default() };
        let mut here = self.here.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = here.get_mut(digest) {
            *held = Held::new(ended, None, Timestamp(i64::MIN));
        }
    }

    /// Forgets a key that was added here.
    pub fn remove(&self, digest: &KeyDigest) {
        self.here.write().unwrap_or_else(PoisonError::into_inner).remove(digest);
        self.looked_up.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }

    /// The key of a text, unless it is unknown or has ended.
    pub async fn find(&self, text: &str, now: Timestamp) -> Result<Option<Arc<Held>>, StoreError> {
        self.find_digest(digest(text), now).await
    }

    /// The key of a digest.
    pub async fn find_digest(
        &self,
        digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<Arc<Held>>, StoreError> {
        let held = self.here.read().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        if let Some(held) = held {
            return Ok(held.if_valid(now));
        }
        let Some(store) = &self.store else { return Ok(None) };
        Box::pin(self.look_up(store, digest, now)).await
    }

    async fn look_up(
        &self,
        store: &Store,
        digest: KeyDigest,
        now: Timestamp,
    ) -> Result<Option<Arc<Held>>, StoreError> {
        let known = {
            let looked_up = self.looked_up.lock().unwrap_or_else(PoisonError::into_inner);
            looked_up.get(&digest).cloned()
        };
        let (fresh_until, former) = known.unwrap_or((Timestamp(i64::MIN), None));
        if now < fresh_until {
            return Ok(former.and_then(|it| it.if_valid(now)));
        }
        let row = store.find_gateway_key(&hex(&digest)).await?;
        let row = row.filter(|it| it.revoked_at.is_none());
        if let Some(row) = &row {
            tell_use(store, row, now).await;
        }
        let bucket = former.and_then(|it| it.bucket.clone());
        let held = row.map(|it| Held::new(key_of(it), bucket, now));
        self.remember(digest, (now.plus(FRESH_FOR), held.clone()));
        Ok(held.and_then(|it| it.if_valid(now)))
    }

    fn remember(&self, digest: KeyDigest, said: (Timestamp, Option<Arc<Held>>)) {
        let mut looked_up = self.looked_up.lock().unwrap_or_else(PoisonError::into_inner);
        if looked_up.len() >= LOOKED_UP_AT_MOST {
            looked_up.clear();
        }
        looked_up.insert(digest, said);
    }
}

/// Writes down that the key of an app was used. That this fails is no reason to refuse a call.
async fn tell_use(store: &Store, row: &GatewayKeyRow, now: Timestamp) {
    let before = Timestamp(now.0 - USE_TOLD_EVERY);
    let is_told = row.used_at.is_some_and(|it| it >= before);
    let has_ended = row.expires_at.is_some_and(|it| it <= now);
    if is_told || has_ended || !row.attempt.is_empty() {
        return;
    }
    if let Err(error) = store.touch_gateway_key(&row.digest, (now, before)).await {
        tracing::warn!(%error, key = row.name, "it could not be written that a key was used");
    }
}

fn key_of(row: GatewayKeyRow) -> Key {
    let models = row.models.into_iter().map(Matcher::Glob).collect::<Vec<_>>();
    Key {
        name: row.name,
        subject: Subject::of_words(&row.subject),
        models: (!models.is_empty()).then_some(Matcher::Any(models)),
        per_minute: row.per_minute.and_then(|it| u64::try_from(it).ok()),
        expires: row.expires_at,
        parent: AttemptName::parse_slug(&row.attempt).as_ref().map(TraceParent::of_attempt),
        ..Key::default()
    }
}

/// The digest of a key's text: keys are long and random, so one round of SHA-256 is enough.
#[must_use]
pub fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// As people write it into a file.
#[must_use]
pub fn hex(digest: &[u8; 32]) -> String {
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(per_minute: Option<u64>, expires: Option<Timestamp>) -> Key {
        Key { name: "ci".to_owned(), per_minute, expires, ..Key::default() }
    }

    async fn find(keys: &Keys, text: &str, at: i64) -> Option<Arc<Held>> {
        keys.find(text, Timestamp(at)).await.unwrap()
    }

    #[tokio::test]
    async fn a_key_is_known_by_its_text_until_it_expires_or_is_removed() {
        let keys = Keys::default();
        keys.insert(digest("tl-1"), key(None, Some(Timestamp(10))), Timestamp(0));
        assert!(find(&keys, "tl-1", 9).await.is_some());
        assert!(find(&keys, "tl-1", 10).await.is_none());
        assert!(find(&keys, "tl-2", 0).await.is_none());
        keys.close(&digest("tl-1"));
        assert!(find(&keys, "tl-1", 0).await.is_none());
        keys.remove(&digest("tl-1"));
        assert!(find(&keys, "tl-1", 0).await.is_none());
    }

    #[tokio::test]
    async fn a_closed_key_lets_go_of_its_notes_and_is_not_asked_of_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("state.db").display());
        let store = Store::open(&url).await.unwrap();
        store.save_gateway_key(&row("t1", None)).await.unwrap();
        let keys = Keys::new(Some(store));
        let notes = Arc::new(Notes::default());
        let held = Arc::downgrade(&notes);
        let key = Key { notes: Some(notes), ..key(None, None) };
        keys.insert(digest("tl-app"), key, Timestamp(0));
        assert!(find(&keys, "tl-app", 0).await.is_some() && held.strong_count() == 1);
        keys.close(&digest("tl-app"));
        assert!(find(&keys, "tl-app", 0).await.is_none());
        assert_eq!(held.strong_count(), 0);
    }

    #[tokio::test]
    async fn a_key_makes_as_many_calls_as_it_may() {
        let keys = Keys::default();
        keys.insert(digest("tl-1"), key(Some(1), None), Timestamp(0));
        let held = find(&keys, "tl-1", 0).await.unwrap();
        assert_eq!(held.take(Timestamp(0)), Ok(()));
        assert_eq!(held.take(Timestamp(0)), Err((1, Milliseconds(60_000))));
    }

    fn row(team: &str, per_minute: Option<i64>) -> GatewayKeyRow {
        GatewayKeyRow {
            digest: hex(&digest("tl-app")),
            name: "app".to_owned(),
            team: team.to_owned(),
            attempt: String::new(),
            subject: [("team".to_owned(), "core".to_owned())].into(),
            models: vec!["m-*".to_owned()],
            per_minute,
            created_by: "ada".to_owned(),
            created_at: Timestamp(0),
            ..GatewayKeyRow::default()
        }
    }

    #[tokio::test]
    async fn that_the_key_of_an_app_was_used_is_told_to_the_minute() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("state.db").display());
        let store = Store::open(&url).await.unwrap();
        let keys = Keys::new(Some(store.clone()));
        let used = async || store.list_gateway_keys("t1").await.unwrap()[0].used_at;
        store.save_gateway_key(&row("t1", None)).await.unwrap();
        assert_eq!(used().await, None);
        for (at, told) in [(5_000, 5_000), (64_000, 5_000), (66_000, 66_000), (67_000, 66_000)] {
            assert!(find(&keys, "tl-app", at).await.is_some());
            assert_eq!(used().await, Some(Timestamp(told)), "at {at}");
        }
    }

    #[tokio::test]
    async fn a_key_of_the_store_is_asked_for_now_and_then_and_its_rate_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("state.db").display());
        let store = Store::open(&url).await.unwrap();
        let keys = Keys::new(Some(store.clone()));
        assert!(find(&keys, "tl-app", 0).await.is_none());
        store.save_gateway_key(&row("t1", Some(1))).await.unwrap();
        assert!(find(&keys, "tl-app", 1999).await.is_none(), "what was said counts for a while");
        let held = find(&keys, "tl-app", 2000).await.unwrap();
        assert_eq!(held.key.subject.get(crate::gateway::budget::scope::Kind::Team), Some("core"));
        assert!(held.key.models.as_ref().is_some_and(|it| it.matches("m-1") && !it.matches("x")));
        held.take(Timestamp(2000)).unwrap();
        let again = find(&keys, "tl-app", 5000).await.unwrap();
        assert!(again.take(Timestamp(5000)).is_err(), "looking again gives no new calls");
        assert!(store.revoke_gateway_key(("t1", "app"), Timestamp(5000)).await.unwrap());
        assert!(find(&keys, "tl-app", 7000).await.is_none());
    }
}

//! The gateway's own keys: whose calls they make, and how many. Only digests are kept.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};

use super::budget::scope::Subject;
use super::prices::matcher::Matcher;
use super::route::Bucket;
use crate::model::{Milliseconds, Timestamp};

/// What a key stands for.
#[derive(Debug, Clone, PartialEq)]
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
    /// The cassette that its calls are recorded in or replayed from.
    pub cassette: Option<String>,
}

/// All keys, by digest.
#[derive(Debug, Default)]
pub struct Keys {
    keys: HashMap<[u8; 32], (Key, Option<Mutex<Bucket>>)>,
}

impl Keys {
    /// Adds a key by the digest of its text.
    pub fn insert(&mut self, digest: [u8; 32], key: Key, now: Timestamp) {
        let bucket = key.per_minute.map(|it| Mutex::new(Bucket::full(it, now)));
        self.keys.insert(digest, (key, bucket));
    }

    /// The key of a text, unless it is unknown or has expired.
    #[must_use]
    pub fn find(&self, text: &str, now: Timestamp) -> Option<&Key> {
        let (key, _) = self.keys.get(&digest(text))?;
        key.expires.is_none_or(|it| now < it).then_some(key)
    }

    /// Takes one call of the key's rate, or says the rate and when there is one.
    pub fn take(&self, text: &str, now: Timestamp) -> Result<(), (u64, Milliseconds)> {
        let Some((Key { per_minute: Some(per_minute), .. }, Some(bucket))) =
            self.keys.get(&digest(text))
        else {
            return Ok(());
        };
        let mut bucket = bucket.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        bucket.take(*per_minute, now).map_err(|it| (*per_minute, it))
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
        let (name, subject) = ("ci".to_owned(), Subject::default());
        Key { name, subject, models: None, per_minute, expires, cassette: None }
    }

    #[test]
    fn a_key_is_known_by_its_text_until_it_expires() {
        let mut keys = Keys::default();
        keys.insert(digest("tl-1"), key(None, Some(Timestamp(10))), Timestamp(0));
        assert!(keys.find("tl-1", Timestamp(9)).is_some());
        assert!(keys.find("tl-1", Timestamp(10)).is_none());
        assert!(keys.find("tl-2", Timestamp(0)).is_none());
    }

    #[test]
    fn a_key_makes_as_many_calls_as_it_may() {
        let mut keys = Keys::default();
        keys.insert(digest("tl-1"), key(Some(1), None), Timestamp(0));
        assert_eq!(keys.take("tl-1", Timestamp(0)), Ok(()));
        assert_eq!(keys.take("tl-1", Timestamp(0)), Err((1, Milliseconds(60_000))));
    }
}

//! The table `caches`: files kept between runs, by scope and key.

use super::{Store, StoreError};
use crate::model::{Digest, Timestamp};

/// One row of `caches`.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheRow {
    /// Repository whose caches these are.
    pub scope: String,
    /// The exact key.
    pub key: String,
    /// Content.
    pub digest: Digest,
    /// Size of the archive.
    pub size_bytes: i64,
    /// When it was last restored or saved.
    pub used_at: Timestamp,
    /// When it was saved.
    pub created_at: Timestamp,
}

impl Store {
    /// The entry with exactly this key, else the newest one whose key starts with one of `fallback`,
    /// the first prefix first. Marks it as used.
    pub async fn find_cache(
        &self,
        _scope: &str,
        _key: &str,
        _fallback: &[String],
        _now: Timestamp,
    ) -> Result<Option<CacheRow>, StoreError> {
        unimplemented!()
    }

    /// Adds an entry; an entry with this key is left as it is (false).
    pub async fn insert_cache(&self, _row: &CacheRow) -> Result<bool, StoreError> {
        unimplemented!()
    }

    /// Removes the longest unused entries until the rest is at most `quota_bytes`; gives how many.
    pub async fn delete_unused_caches(&self, _quota_bytes: i64) -> Result<u64, StoreError> {
        unimplemented!()
    }
}

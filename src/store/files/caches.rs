//! The table `caches`: files kept between runs, by scope and key.

use std::iter;

use crate::model::{Digest, Timestamp};
use crate::store::{Store, StoreError, with_writer};

/// One row of `caches`.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
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
        scope: &str,
        key: &str,
        fallback: &[String],
        now: Timestamp,
    ) -> Result<Option<CacheRow>, StoreError> {
        const EXACT: &str = "
            UPDATE caches SET used_at = $3 WHERE scope = $1 AND key = $2
            RETURNING *";
        // Not LIKE: a key may hold its wildcards, and SQLite's ignores case.
        const NEWEST: &str = "
            UPDATE caches SET used_at = $3 WHERE scope = $1 AND key =
                (SELECT key FROM caches
                 WHERE scope = $1 AND substr(key, 1, length($2)) = $2
                 ORDER BY created_at DESC, key DESC LIMIT 1)
            RETURNING *";
        let prefixes = fallback.iter().map(|prefix| (NEWEST, prefix.as_str()));
        for (sql, text) in iter::once((EXACT, key)).chain(prefixes) {
            let row = with_writer!(self, db => {
                sqlx::query_as(sql).bind(scope).bind(text).bind(now).fetch_optional(db).await?
            });
            if row.is_some() {
                return Ok(row);
            }
        }
        Ok(None)
    }

    /// Adds an entry; an entry with this key is left as it is (false).
    pub async fn insert_cache(&self, row: &CacheRow) -> Result<bool, StoreError> {
        const SQL: &str = "
            INSERT INTO caches (scope, key, digest, size_bytes, used_at, created_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (scope, key) DO NOTHING";
        let inserted = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&row.scope)
                .bind(&row.key)
                .bind(&row.digest)
                .bind(row.size_bytes)
                .bind(row.used_at)
                .bind(row.created_at)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(inserted > 0)
    }

    /// Removes the longest unused entries until the rest is at most `quota_bytes`; gives how many.
    pub async fn delete_unused_caches(&self, quota_bytes: i64) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM caches WHERE (scope, key) IN (
                SELECT scope, key FROM (
                    SELECT scope, key, CAST(sum(size_bytes) OVER (
                        ORDER BY used_at DESC, created_at DESC, scope, key
                    ) AS BIGINT) AS used_since
                    FROM caches
                ) AS by_use
                WHERE used_since > $1
            )";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(quota_bytes).execute(db).await?.rows_affected()
        }))
    }
}

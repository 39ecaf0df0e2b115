//! The table `signing_keys`.

use sqlx::FromRow;

use crate::model::Timestamp;
use crate::store::{Store, StoreError, with_db, with_writer};

/// One row of `signing_keys`.
#[derive(Clone, PartialEq, Eq, FromRow)]
pub struct KeyRow {
    /// `kid`.
    pub id: String,
    /// `session` or `workload`.
    pub purpose: String,
    /// As JOSE names it (RFC 7518, RFC 8037).
    pub algorithm: String,
    /// PKCS #8 in base64, sealed.
    pub private_key: String,
    /// JWK (RFC 7517), JSON.
    pub public_key: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it signs.
    pub signs_until: Timestamp,
    /// Until when it verifies and is published.
    pub serves_until: Timestamp,
}

impl std::fmt::Debug for KeyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (id, purpose) = (&self.id, &self.purpose);
        f.debug_struct("KeyRow").field("id", id).field("purpose", purpose).finish_non_exhaustive()
    }
}

impl Store {
    /// Adds a key, and forgets those of its purpose that serve nobody any more.
    pub async fn insert_signing_key(&self, key: &KeyRow) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO signing_keys (
                id, purpose, algorithm, private_key, public_key, created_at, signs_until, serves_until
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        const FORGET: &str = "DELETE FROM signing_keys WHERE serves_until < $1";
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&key.id)
                .bind(&key.purpose)
                .bind(&key.algorithm)
                .bind(&key.private_key)
                .bind(&key.public_key)
                .bind(key.created_at)
                .bind(key.signs_until)
                .bind(key.serves_until)
                .execute(db)
                .await?;
        });
        with_writer!(self, db => {
            sqlx::query(FORGET).bind(key.created_at).execute(db).await?;
        });
        Ok(())
    }

    /// The keys of a purpose that still verify, oldest first.
    pub async fn list_signing_keys(
        &self,
        purpose: &str,
        now: Timestamp,
    ) -> Result<Vec<KeyRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM signing_keys WHERE purpose = $1 AND serves_until > $2
            ORDER BY created_at, id";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(purpose).bind(now).fetch_all(db).await?))
    }
}

//! The table `api_tokens`.

use sqlx::FromRow;

use crate::model::{PersonId, Timestamp};
use crate::store::{Store, StoreError, read_json, with_db, with_writer};

/// How exactly `used_at` is kept; a write for each call would be too much.
const USED_AT_STEP: i64 = 60_000;

/// One row of `api_tokens`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub person: PersonId,
    /// What it is for.
    pub name: String,
    /// SHA-256 of the token, hex.
    pub hash: String,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
    /// Since when it is not good for anything.
    pub revoked_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct Record {
    id: String,
    person: PersonId,
    name: String,
    hash: String,
    scopes: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl TryFrom<Record> for TokenRow {
    type Error = StoreError;

    fn try_from(record: Record) -> Result<Self, StoreError> {
        let scopes = read_json(|| format!("scopes of token `{}`", record.id), &record.scopes)?;
        Ok(Self {
            id: record.id,
            person: record.person,
            name: record.name,
            hash: record.hash,
            scopes,
            created_at: record.created_at,
            expires_at: record.expires_at,
            used_at: record.used_at,
            revoked_at: record.revoked_at,
        })
    }
}

impl Store {
    /// Adds a token.
    pub async fn insert_token(&self, token: &TokenRow) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO api_tokens (id, person, name, hash, scopes, team, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, '', $6, $7)";
        let scopes = serde_json::Value::from(token.scopes.clone()).to_string();
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&token.id)
                .bind(&token.person)
                .bind(&token.name)
                .bind(&token.hash)
                .bind(scopes)
                .bind(token.created_at)
                .bind(token.expires_at)
                .execute(db)
                .await?;
        });
        Ok(())
    }

    /// The token with this hash.
    pub async fn find_token_by_hash(&self, hash: &str) -> Result<Option<TokenRow>, StoreError> {
        const SQL: &str = "SELECT * FROM api_tokens WHERE hash = $1";
        let record: Option<Record> =
            with_db!(self, db => sqlx::query_as(SQL).bind(hash).fetch_optional(db).await?);
        record.map(TokenRow::try_from).transpose()
    }

    /// The tokens of a person, newest first.
    pub async fn list_tokens(&self, person: &PersonId) -> Result<Vec<TokenRow>, StoreError> {
        const SQL: &str = "SELECT * FROM api_tokens WHERE person = $1 ORDER BY id DESC";
        let records: Vec<Record> =
            with_db!(self, db => sqlx::query_as(SQL).bind(person).fetch_all(db).await?);
        records.into_iter().map(TokenRow::try_from).collect()
    }

    /// Notes that a token was used, once a minute.
    pub async fn touch_token(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE api_tokens SET used_at = $2 WHERE id = $1 AND (used_at IS NULL OR used_at < $3)";
        with_writer!(self, db => {
            let before = Timestamp(now.0.saturating_sub(USED_AT_STEP));
            sqlx::query(SQL).bind(id).bind(now).bind(before).execute(db).await?;
        });
        Ok(())
    }

    /// Ends a token of a person; false when they have none of this id.
    pub async fn revoke_token(
        &self,
        person: &PersonId,
        id: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE api_tokens SET revoked_at = $3 WHERE id = $1 AND person = $2 AND revoked_at IS NULL";
        let revoked = with_writer!(self, db => {
            sqlx::query(SQL).bind(id).bind(person).bind(now).execute(db).await?.rows_affected()
        });
        Ok(revoked > 0)
    }
}

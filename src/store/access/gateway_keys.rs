//! The table `gateway_keys`.

use std::collections::BTreeMap;

use sqlx::FromRow;

use crate::model::{AttemptName, Timestamp};
use crate::store::{Store, StoreError, in_transaction, read_json, with_db, with_writer};

/// One row of `gateway_keys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayKeyRow {
    /// SHA-256 of its text, hex.
    pub digest: String,
    /// Its name, for people and for the ledger.
    pub name: String,
    /// The team's id; empty for an attempt's.
    pub team: String,
    /// The attempt's name; empty for an app's.
    pub attempt: String,
    /// Whose calls it makes: kinds and names.
    pub subject: BTreeMap<String, String>,
    /// Globs of the models it may call; none for all.
    pub models: Vec<String>,
    /// Calls a minute; as many as it likes, when it is not there.
    pub per_minute: Option<i64>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Since when it is good for nothing.
    pub revoked_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct Record {
    digest: String,
    name: String,
    team: String,
    attempt: String,
    subject: String,
    models: String,
    per_minute: Option<i64>,
    created_by: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl TryFrom<Record> for GatewayKeyRow {
    type Error = StoreError;

    fn try_from(record: Record) -> Result<Self, StoreError> {
        let name = || format!("gateway key `{}`", record.name);
        Ok(Self {
            subject: read_json(name, &record.subject)?,
            models: read_json(name, &record.models)?,
            digest: record.digest,
            name: record.name,
            team: record.team,
            attempt: record.attempt,
            per_minute: record.per_minute,
            created_by: record.created_by,
            created_at: record.created_at,
            expires_at: record.expires_at,
            revoked_at: record.revoked_at,
        })
    }
}

const INSERT: &str = "
    INSERT INTO gateway_keys (digest, name, team, attempt, subject, models, per_minute, created_by,
        created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
const UPSERT: &str = "
    INSERT INTO gateway_keys (digest, name, team, attempt, subject, models, per_minute, created_by,
        created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (digest) DO UPDATE SET subject = excluded.subject, expires_at = excluded.expires_at";

impl Store {
    /// Adds a key of an attempt, or writes it anew when it is there; of a team, [`StoreError::Taken`] when it
    /// has a valid one of this name. Keys of attempts that have expired go.
    pub async fn save_gateway_key(&self, key: &GatewayKeyRow) -> Result<(), StoreError> {
        const SWEEP: &str = "DELETE FROM gateway_keys WHERE attempt <> '' AND expires_at < $1";
        let sql = if key.attempt.is_empty() { INSERT } else { UPSERT };
        let subject = serde_json::json!(key.subject).to_string();
        let models = serde_json::json!(key.models).to_string();
        let saved = in_transaction!(self, tx => {
            sqlx::query(SWEEP).bind(key.created_at).execute(&mut *tx).await?;
            sqlx::query(sql)
                .bind(&key.digest)
                .bind(&key.name)
                .bind(&key.team)
                .bind(&key.attempt)
                .bind(subject)
                .bind(models)
                .bind(key.per_minute)
                .bind(&key.created_by)
                .bind(key.created_at)
                .bind(key.expires_at)
                .execute(&mut *tx)
                .await?
                .rows_affected()
        });
        if saved == 0 { Err(StoreError::taken("gateway key", &key.name)) } else { Ok(()) }
    }

    /// The key with this digest.
    pub async fn find_gateway_key(
        &self,
        digest: &str,
    ) -> Result<Option<GatewayKeyRow>, StoreError> {
        const SQL: &str = "SELECT * FROM gateway_keys WHERE digest = $1";
        let record: Option<Record> =
            with_db!(self, db => sqlx::query_as(SQL).bind(digest).fetch_optional(db).await?);
        record.map(GatewayKeyRow::try_from).transpose()
    }

    /// The keys of a team's apps, by name, the newest of a name first.
    pub async fn list_gateway_keys(&self, team: &str) -> Result<Vec<GatewayKeyRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM gateway_keys WHERE team = $1 AND attempt = ''
            ORDER BY name, created_at DESC LIMIT 1000";
        let records: Vec<Record> =
            with_db!(self, db => sqlx::query_as(SQL).bind(team).fetch_all(db).await?);
        records.into_iter().map(GatewayKeyRow::try_from).collect()
    }

    /// Ends the key of this name; false when a team has none.
    pub async fn revoke_gateway_key(
        &self,
        (team, name): (&str, &str),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE gateway_keys SET revoked_at = $3
            WHERE team = $1 AND name = $2 AND attempt = '' AND revoked_at IS NULL";
        let revoked = with_writer!(self, db => {
            sqlx::query(SQL).bind(team).bind(name).bind(now).execute(db).await?.rows_affected()
        });
        Ok(revoked > 0)
    }

    /// Removes the keys of an attempt.
    pub async fn delete_gateway_keys_of(&self, attempt: &AttemptName) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM gateway_keys WHERE attempt = $1";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(attempt.slug()).execute(db).await?;
        });
        Ok(())
    }
}

//! The table `gateway_keys`.

use std::collections::BTreeMap;

use sqlx::FromRow;

use crate::model::{AttemptName, Timestamp};
use crate::store::{Store, StoreError, in_transaction, read_json, with_db, with_writer};

/// One row of `gateway_keys`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// When it was used last, to the minute; of apps only.
    pub used_at: Option<Timestamp>,
    /// Since when another one has its name.
    pub replaced_at: Option<Timestamp>,
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
    used_at: Option<Timestamp>,
    replaced_at: Option<Timestamp>,
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
            used_at: record.used_at,
            replaced_at: record.replaced_at,
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

/// Inserts a key, or does with it what `$sql` says; gives how many rows that were.
macro_rules! insert_key {
    ($tx:expr, $sql:expr, $key:expr) => {{
        let key: &GatewayKeyRow = $key;
        sqlx::query($sql)
            .bind(&key.digest)
            .bind(&key.name)
            .bind(&key.team)
            .bind(&key.attempt)
            .bind(serde_json::json!(key.subject).to_string())
            .bind(serde_json::json!(key.models).to_string())
            .bind(key.per_minute)
            .bind(&key.created_by)
            .bind(key.created_at)
            .bind(key.expires_at)
            .execute(&mut *$tx)
            .await?
            .rows_affected()
    }};
}

impl Store {
    /// Adds a key of an attempt, or writes it anew when it is there; of a team, [`StoreError::Taken`] when it
    /// has a valid one of this name. Keys of attempts that have expired go; those of apps make room.
    pub async fn save_gateway_key(&self, key: &GatewayKeyRow) -> Result<(), StoreError> {
        const SWEEP: &str = "DELETE FROM gateway_keys WHERE attempt <> '' AND expires_at < $1";
        const MAKE_ROOM: &str = "
            UPDATE gateway_keys SET revoked_at = expires_at
            WHERE team = $1 AND name = $2 AND attempt = '' AND revoked_at IS NULL AND expires_at <= $3";
        let sql = if key.attempt.is_empty() { INSERT } else { UPSERT };
        let saved = in_transaction!(self, tx => {
            sqlx::query(SWEEP).bind(key.created_at).execute(&mut *tx).await?;
            if key.attempt.is_empty() {
                sqlx::query(MAKE_ROOM)
                    .bind(&key.team)
                    .bind(&key.name)
                    .bind(key.created_at)
                    .execute(&mut *tx)
                    .await?;
            }
            insert_key!(tx, sql, key)
        });
        if saved == 0 { Err(StoreError::taken("gateway key", &key.name)) } else { Ok(()) }
    }

    /// Puts a key in the place of the valid one of its team and name, which goes on until `until` at the
    /// longest; false when there is none.
    pub async fn rotate_gateway_key(
        &self,
        key: &GatewayKeyRow,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const REPLACE: &str = "
            UPDATE gateway_keys SET replaced_at = $3,
                expires_at = CASE WHEN expires_at < $4 THEN expires_at ELSE $4 END
            WHERE team = $1 AND name = $2 AND attempt = '' AND revoked_at IS NULL
                AND replaced_at IS NULL AND (expires_at IS NULL OR expires_at > $3)";
        let saved = in_transaction!(self, tx => {
            let replaced = sqlx::query(REPLACE)
                .bind(&key.team)
                .bind(&key.name)
                .bind(key.created_at)
                .bind(until)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            if replaced == 0 { 0 } else { insert_key!(tx, INSERT, key) }
        });
        Ok(saved > 0)
    }

    /// Writes down that a key was used, unless that was done since `before`.
    pub async fn touch_gateway_key(
        &self,
        digest: &str,
        (now, before): (Timestamp, Timestamp),
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE gateway_keys SET used_at = $2
            WHERE digest = $1 AND (used_at IS NULL OR used_at < $3)";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(digest).bind(now).bind(before).execute(db).await?;
        });
        Ok(())
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

    /// The keys of a team's apps, by name, the newest of a name first; 1,000 at most.
    pub async fn list_gateway_keys(&self, team: &str) -> Result<Vec<GatewayKeyRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM gateway_keys WHERE team = $1 AND attempt = ''
            ORDER BY name, created_at DESC LIMIT 1000";
        let records: Vec<Record> =
            with_db!(self, db => sqlx::query_as(SQL).bind(team).fetch_all(db).await?);
        records.into_iter().map(GatewayKeyRow::try_from).collect()
    }

    /// Ends the key of this name, and those that it has replaced; false when a team has none.
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

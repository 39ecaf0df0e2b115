//! The table `sessions`.

use sqlx::FromRow;

use crate::model::{PersonId, Timestamp};
use crate::store::{Store, StoreError, with_db, with_writer};

/// One row of `sessions`.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct SessionRow {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub person: PersonId,
    /// SHA-256 of the newest refresh token, hex.
    pub refresh_hash: String,
    /// That of the one before, or empty.
    pub used_hash: String,
    /// Where the person signed in from.
    pub address: String,
    /// With which browser, in its own words.
    pub agent: String,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// When it was last refreshed.
    pub refreshed_at: Timestamp,
    /// When it ends unless it is refreshed.
    pub expires_at: Timestamp,
    /// Since when it is not good for anything.
    pub revoked_at: Option<Timestamp>,
}

/// A refresh token that is exchanged for the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The session.
    pub session: String,
    /// Hash of the token that was shown.
    pub shown_hash: String,
    /// Hash of the next one.
    pub next_hash: String,
    /// When this happens.
    pub now: Timestamp,
    /// When the session ends from now on.
    pub expires_at: Timestamp,
}

impl Store {
    /// Adds a session.
    pub async fn insert_session(&self, session: &SessionRow) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO sessions (
                id, person, refresh_hash, used_hash, address, agent, created_at, refreshed_at, expires_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&session.id)
                .bind(&session.person)
                .bind(&session.refresh_hash)
                .bind(&session.used_hash)
                .bind(&session.address)
                .bind(&session.agent)
                .bind(session.created_at)
                .bind(session.refreshed_at)
                .bind(session.expires_at)
                .execute(db)
                .await?;
        });
        Ok(())
    }

    /// The session with this id.
    pub async fn find_session(&self, id: &str) -> Result<Option<SessionRow>, StoreError> {
        const SQL: &str = "SELECT * FROM sessions WHERE id = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(id).fetch_optional(db).await?))
    }

    /// The sessions of a person that are still good, newest first.
    pub async fn list_sessions(
        &self,
        person: &PersonId,
        now: Timestamp,
    ) -> Result<Vec<SessionRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM sessions WHERE person = $1 AND revoked_at IS NULL AND expires_at > $2
            ORDER BY id DESC";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(person).bind(now).fetch_all(db).await?))
    }

    /// Exchanges the newest refresh token; false when the one that was shown is not the newest, or the
    /// session has ended.
    pub async fn rotate_session(&self, rotation: &Rotation) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE sessions SET
                refresh_hash = $3, used_hash = $2, refreshed_at = $4, expires_at = $5
            WHERE id = $1 AND refresh_hash = $2 AND revoked_at IS NULL AND expires_at > $4";
        let rotated = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&rotation.session)
                .bind(&rotation.shown_hash)
                .bind(&rotation.next_hash)
                .bind(rotation.now)
                .bind(rotation.expires_at)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(rotated > 0)
    }

    /// Ends a session of a person; false when they have none of this id.
    pub async fn revoke_session(
        &self,
        person: &PersonId,
        id: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE sessions SET revoked_at = $3 WHERE id = $1 AND person = $2 AND revoked_at IS NULL";
        let revoked = with_writer!(self, db => {
            sqlx::query(SQL).bind(id).bind(person).bind(now).execute(db).await?.rows_affected()
        });
        Ok(revoked > 0)
    }

    /// Ends all sessions of a person.
    pub async fn revoke_sessions(
        &self,
        person: &PersonId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "UPDATE sessions SET revoked_at = $2 WHERE person = $1 AND revoked_at IS NULL";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(person).bind(now).execute(db).await?;
        });
        Ok(())
    }

    /// Forgets sessions that ended before `moment`.
    pub async fn delete_sessions_before(&self, moment: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM sessions WHERE expires_at < $1";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(moment).execute(db).await?.rows_affected()
        }))
    }
}

//! The tables `sign_in_failures`, `sign_in_states` and `setup_tokens`.

use sqlx::FromRow;

use crate::model::Timestamp;
use crate::store::access::people::PersonRow;
use crate::store::{Store, StoreError, in_transaction, with_db, with_writer};

/// Wrong tries of one subject: `login:<login>` or `address:<address>`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct Failures {
    /// How many.
    pub failures: i64,
    /// When the last one was.
    pub last_at: Timestamp,
}

/// One row of `sign_in_states`: a sign-in that is under way at an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct SignInState {
    /// SHA-256 of the `state` that comes back, hex.
    pub state: String,
    /// The provider.
    pub provider: String,
    /// What its ID token must repeat.
    pub nonce: String,
    /// The PKCE verifier, sealed.
    pub verifier: String,
    /// Where the person goes afterwards.
    pub return_to: String,
    /// When it began.
    pub created_at: Timestamp,
}

impl Store {
    /// The wrong tries of a subject; none when it is not known.
    pub async fn find_failures(&self, subject: &str) -> Result<Option<Failures>, StoreError> {
        const SQL: &str = "SELECT failures, last_at FROM sign_in_failures WHERE subject = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(subject).fetch_optional(db).await?))
    }

    /// Counts a try as wrong, if nobody has counted one since `seen`; so tries at the same moment are
    /// judged one after the other.
    pub async fn save_failure(
        &self,
        subject: &str,
        seen: Option<Failures>,
        next: Failures,
    ) -> Result<bool, StoreError> {
        const INSERT: &str = "
            INSERT INTO sign_in_failures (subject, failures, last_at) VALUES ($1, $2, $3)
            ON CONFLICT (subject) DO NOTHING";
        const UPDATE: &str = "
            UPDATE sign_in_failures SET failures = $2, last_at = $3
            WHERE subject = $1 AND failures = $4 AND last_at = $5";
        let saved = with_writer!(self, db => {
            let query = match seen {
                None => sqlx::query(INSERT).bind(subject).bind(next.failures).bind(next.last_at),
                Some(seen) => sqlx::query(UPDATE)
                    .bind(subject)
                    .bind(next.failures)
                    .bind(next.last_at)
                    .bind(seen.failures)
                    .bind(seen.last_at),
            };
            query.execute(db).await?.rows_affected()
        });
        Ok(saved > 0)
    }

    /// Takes one wrong try back: it was right.
    pub async fn forgive_failure(&self, subject: &str) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE sign_in_failures SET failures = failures - 1 WHERE subject = $1 AND failures > 0";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(subject).execute(db).await?;
        });
        Ok(())
    }

    /// Forgets the wrong tries of a subject.
    pub async fn delete_failures(&self, subject: &str) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM sign_in_failures WHERE subject = $1";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(subject).execute(db).await?;
        });
        Ok(())
    }

    /// Forgets the wrong tries whose last was before `moment`.
    pub async fn delete_failures_before(&self, moment: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM sign_in_failures WHERE last_at < $1";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(moment).execute(db).await?.rows_affected()
        }))
    }

    /// Notes a sign-in that begins, and forgets those that began before `oldest`.
    pub async fn insert_sign_in_state(
        &self,
        state: &SignInState,
        oldest: Timestamp,
    ) -> Result<(), StoreError> {
        const FORGET: &str = "DELETE FROM sign_in_states WHERE created_at < $1";
        const SQL: &str = "
            INSERT INTO sign_in_states (state, provider, nonce, verifier, return_to, created_at)
            VALUES ($1, $2, $3, $4, $5, $6)";
        in_transaction!(self, tx => {
            sqlx::query(FORGET).bind(oldest).execute(&mut *tx).await?;
            sqlx::query(SQL)
                .bind(&state.state)
                .bind(&state.provider)
                .bind(&state.nonce)
                .bind(&state.verifier)
                .bind(&state.return_to)
                .bind(state.created_at)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// Takes the sign-in of this `state`; nobody gets it a second time.
    pub async fn claim_sign_in_state(
        &self,
        state: &str,
    ) -> Result<Option<SignInState>, StoreError> {
        const SQL: &str = "DELETE FROM sign_in_states WHERE state = $1 RETURNING *";
        Ok(with_writer!(self, db => sqlx::query_as(SQL).bind(state).fetch_optional(db).await?))
    }

    /// Adds a set-up token by its hash, and forgets those made before `oldest`.
    pub async fn insert_setup_token(
        &self,
        hash: &str,
        now: Timestamp,
        oldest: Timestamp,
    ) -> Result<(), StoreError> {
        const FORGET: &str = "DELETE FROM setup_tokens WHERE created_at < $1";
        const SQL: &str = "INSERT INTO setup_tokens (hash, created_at) VALUES ($1, $2)";
        in_transaction!(self, tx => {
            sqlx::query(FORGET).bind(oldest).execute(&mut *tx).await?;
            sqlx::query(SQL).bind(hash).bind(now).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// Hashes of the set-up tokens made since `oldest`.
    pub async fn list_setup_tokens(&self, oldest: Timestamp) -> Result<Vec<String>, StoreError> {
        const SQL: &str = "SELECT hash FROM setup_tokens WHERE created_at >= $1";
        Ok(with_db!(self, db => sqlx::query_scalar(SQL).bind(oldest).fetch_all(db).await?))
    }

    /// Uses up all set-up tokens and adds the first person; false when somebody else was faster.
    pub async fn claim_setup(&self, person: &PersonRow) -> Result<bool, StoreError> {
        const CLAIM: &str = "DELETE FROM setup_tokens";
        const SQL: &str = "
            INSERT INTO people (id, login, name, email, password_hash, is_owner, created_at)
            SELECT $1, $2, $3, $4, $5, true, $6 WHERE NOT EXISTS (SELECT 1 FROM people)";
        Ok(in_transaction!(self, tx => {
            let claimed = sqlx::query(CLAIM).execute(&mut *tx).await?.rows_affected();
            if claimed == 0 {
                return Ok(false);
            }
            let added = sqlx::query(SQL)
                .bind(&person.id)
                .bind(&person.login)
                .bind(&person.name)
                .bind(&person.email)
                .bind(&person.password_hash)
                .bind(person.created_at)
                .execute(&mut *tx)
                .await?;
            added.rows_affected() > 0
        }))
    }
}

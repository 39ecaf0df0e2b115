//! The table `requests`: what clients may ask for twice.

use crate::model::{Milliseconds, Timestamp};
use crate::store::{Store, StoreError, with_db, with_writer};

/// Old rows that are removed with each new one.
const SWEPT: i64 = 100;

/// A request that wants to be done once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestClaim {
    /// Digest of who asks and their key.
    pub id: String,
    /// Digest of what is asked for.
    pub digest: String,
    /// Now.
    pub at: Timestamp,
    /// How long an answer is kept.
    pub kept: Milliseconds,
    /// After how long a process that has not answered is given up.
    pub patience: Milliseconds,
}

/// Whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The caller's.
    New,
    /// Somebody works on it.
    UnderWay,
    /// The key was used for something else.
    Other,
    /// It was done; this was answered, sealed.
    Done(String),
}

#[derive(sqlx::FromRow)]
struct Record {
    digest: String,
    created_at: Timestamp,
    claimed_at: Timestamp,
    is_done: bool,
    answer: String,
}

impl Store {
    /// Claims a request; one caller gets it.
    pub async fn claim_request(&self, claim: &RequestClaim) -> Result<Claimed, StoreError> {
        const INSERT: &str = "
            INSERT INTO requests (id, digest, created_at, claimed_at, is_done, answer)
            VALUES ($1, $2, $3, $3, false, '') ON CONFLICT (id) DO NOTHING";
        const FIND: &str = "SELECT * FROM requests WHERE id = $1";
        let (id, digest) = (&claim.id, &claim.digest);
        let added = with_writer!(self, db => {
            let query = sqlx::query(INSERT).bind(id).bind(digest).bind(claim.at);
            query.execute(db).await?.rows_affected()
        });
        if added == 1 {
            self.sweep_requests(claim).await?;
            return Ok(Claimed::New);
        }
        let record: Option<Record> =
            with_db!(self, db => sqlx::query_as(FIND).bind(id).fetch_optional(db).await?);
        // One that has gone in this moment comes back soon.
        let Some(record) = record else { return Ok(Claimed::UnderWay) };
        let is_old = claim.at.since(record.created_at) > claim.kept;
        let is_given_up = !record.is_done && claim.at.since(record.claimed_at) > claim.patience;
        if !is_old && record.digest != *digest {
            return Ok(Claimed::Other);
        }
        if is_old || is_given_up {
            return self.claim_again(claim, &record).await;
        }
        Ok(if record.is_done { Claimed::Done(record.answer) } else { Claimed::UnderWay })
    }

    async fn claim_again(
        &self,
        claim: &RequestClaim,
        record: &Record,
    ) -> Result<Claimed, StoreError> {
        const SQL: &str = "
            UPDATE requests
            SET digest = $2, created_at = $3, claimed_at = $3, is_done = false, answer = ''
            WHERE id = $1 AND claimed_at = $4 AND is_done = $5";
        let changed = with_writer!(self, db => {
            let query = sqlx::query(SQL).bind(&claim.id).bind(&claim.digest).bind(claim.at);
            let query = query.bind(record.claimed_at).bind(record.is_done);
            query.execute(db).await?.rows_affected()
        });
        Ok(if changed == 1 { Claimed::New } else { Claimed::UnderWay })
    }

    async fn sweep_requests(&self, claim: &RequestClaim) -> Result<(), StoreError> {
        const SQL: &str = "
            DELETE FROM requests WHERE id IN (
                SELECT id FROM requests WHERE created_at < $1 ORDER BY created_at LIMIT $2
            )";
        let kept = i64::try_from(claim.kept.0).unwrap_or(i64::MAX);
        let before = Timestamp(claim.at.0.saturating_sub(kept));
        with_writer!(self, db => { sqlx::query(SQL).bind(before).bind(SWEPT).execute(db).await?; });
        Ok(())
    }

    /// Stores the answer to a claimed request.
    pub async fn save_answer(&self, claim: &RequestClaim, answer: &str) -> Result<(), StoreError> {
        const SQL: &str =
            "UPDATE requests SET is_done = true, answer = $3 WHERE id = $1 AND claimed_at = $2";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(&claim.id).bind(claim.at).bind(answer).execute(db).await?;
        });
        Ok(())
    }

    /// Gives a claimed request back: nothing was done, and it may be asked again.
    pub async fn delete_request(&self, claim: &RequestClaim) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM requests WHERE id = $1 AND claimed_at = $2";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(&claim.id).bind(claim.at).execute(db).await?;
        });
        Ok(())
    }
}

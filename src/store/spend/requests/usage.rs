//! The table `usage_reports`: ids of what apps have reported, so that each counts once.

use sqlx::FromRow;

use crate::model::{Timestamp, UsdNanos};
use crate::store::{Store, StoreError, in_transaction, with_db, with_writer};

/// One row of `usage_reports`: a report that a process charges.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct Claim {
    /// Whose id it is: team and key.
    pub owner: String,
    /// The id.
    pub id: String,
    /// Of what was reported.
    pub digest: String,
    /// Its row of the ledger.
    pub request: String,
    /// The process that charges it.
    pub spender: String,
    /// When.
    pub at: Timestamp,
}

/// The first try of a request that reports something, so that its retries are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstTry {
    /// Whose it is.
    pub owner: String,
    /// What it is: the same for the same report of the same request.
    pub content: String,
    /// The id of its report.
    pub id: String,
    /// When.
    pub at: Timestamp,
}

/// Whose turn it is to charge a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// The process that asks.
    Now,
    /// Nobody's: it is charged, and this is what it cost.
    Written {
        /// What it cost.
        cost: UsdNanos,
        /// What did not fit into a budget.
        overrun: UsdNanos,
    },
    /// Another's, or the same one's a moment ago, and it is alive.
    UnderWay,
    /// Nobody's: another report has this id.
    Other,
}

const INSERT: &str = "
    INSERT INTO usage_reports (owner, id, digest, request, spender, at) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (owner, id) DO NOTHING";
const FIND: &str = "SELECT * FROM usage_reports WHERE owner = $1 AND id = $2";
const WRITTEN: &str = "SELECT cost, overrun FROM model_calls WHERE request = $1 AND attempt = 1";
const IS_ALIVE: &str =
    "SELECT COUNT(*) FROM spenders WHERE id = $1 AND NOT lapsed AND expires_at > $2";
const TAKE_OVER: &str = "
    UPDATE usage_reports SET spender = $4, at = $5 WHERE owner = $1 AND id = $2 AND spender = $3";

fn first_try_id(content: &str) -> String {
    format!("first try of {content}")
}

impl Store {
    /// Claims a report for a process. One that a dead process has claimed and not written down is free again.
    pub async fn claim_usage(&self, claim: &Claim) -> Result<Claimed, StoreError> {
        Ok(in_transaction!(self, tx => {
            let inserted = sqlx::query(INSERT)
                .bind(&claim.owner)
                .bind(&claim.id)
                .bind(&claim.digest)
                .bind(&claim.request)
                .bind(&claim.spender)
                .bind(claim.at)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            let former: Claim =
                sqlx::query_as(FIND).bind(&claim.owner).bind(&claim.id).fetch_one(&mut *tx).await?;
            let written: Option<(UsdNanos, UsdNanos)> =
                sqlx::query_as(WRITTEN).bind(&former.request).fetch_optional(&mut *tx).await?;
            let alive: i64 = sqlx::query_scalar(IS_ALIVE)
                .bind(&former.spender)
                .bind(claim.at)
                .fetch_one(&mut *tx)
                .await?;
            match (inserted > 0, former.digest == claim.digest, written) {
                (true, _, _) => Claimed::Now,
                (false, false, _) => Claimed::Other,
                (false, true, Some((cost, overrun))) => Claimed::Written { cost, overrun },
                (false, true, None) if alive > 0 => Claimed::UnderWay,
                (false, true, None) => {
                    let taken = sqlx::query(TAKE_OVER)
                        .bind(&claim.owner)
                        .bind(&claim.id)
                        .bind(&former.spender)
                        .bind(&claim.spender)
                        .bind(claim.at)
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                    if taken > 0 { Claimed::Now } else { Claimed::UnderWay }
                }
            }
        }))
    }

    /// Notes the first try of a request; it replaces an earlier one that looked the same. It is a row beside those of
    /// reports, and goes with them.
    pub async fn save_first_try(&self, tried: &FirstTry) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO usage_reports (owner, id, digest, request, spender, at) VALUES ($1, $2, '', $3, '', $4)
            ON CONFLICT (owner, id) DO UPDATE SET request = excluded.request, at = excluded.at";
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&tried.owner)
                .bind(first_try_id(&tried.content))
                .bind(&tried.id)
                .bind(tried.at)
                .execute(db)
                .await?;
        });
        Ok(())
    }

    /// The id of the report of a request's first try, when that was not before `since`.
    pub async fn find_first_try(
        &self,
        (owner, content): (&str, &str),
        since: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT request FROM usage_reports WHERE owner = $1 AND id = $2 AND digest = '' AND at >= $3";
        let id = first_try_id(content);
        Ok(with_db!(self, db => {
            sqlx::query_scalar(SQL).bind(owner).bind(&id).bind(since).fetch_optional(db).await?
        }))
    }

    /// Lets a report go that could not be charged.
    pub async fn release_usage(&self, claim: &Claim) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM usage_reports WHERE owner = $1 AND id = $2 AND spender = $3";
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&claim.owner)
                .bind(&claim.id)
                .bind(&claim.spender)
                .execute(db)
                .await?;
        });
        Ok(())
    }

    /// Whether the first attempt of a request is in the ledger.
    pub async fn has_call(&self, request: &str) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT COUNT(*) FROM model_calls WHERE request = $1 AND attempt = 1";
        let count: i64 =
            with_db!(self, db => sqlx::query_scalar(SQL).bind(request).fetch_one(db).await?);
        Ok(count > 0)
    }

    /// Forgets reports before a moment; gives how many.
    pub async fn delete_usage_reports(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM usage_reports WHERE (owner, id) IN (
                SELECT owner, id FROM usage_reports WHERE at < $1 ORDER BY at LIMIT $2
            )";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(before).bind(i64::from(limit)).execute(db).await?.rows_affected()
        }))
    }
}

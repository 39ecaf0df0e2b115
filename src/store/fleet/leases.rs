//! The lease of a run: one driver at a time, each with a higher epoch than the one before.

use crate::model::{RunId, Timestamp};
use crate::store::{Store, StoreError, with_writer};

/// Somebody who wants to drive a run.
#[derive(Debug, Clone, Copy)]
pub struct LeaseClaim<'a> {
    /// The run.
    pub run: &'a RunId,
    /// Which process.
    pub owner: &'a str,
    /// Its state folder. A holder with the same one is known to be dead: the caller has its lock.
    pub instance: &'a str,
    /// The present moment.
    pub now: Timestamp,
    /// Until when the lease will hold.
    pub until: Timestamp,
    /// Whether the caller knows that the holder is dead, whoever it is.
    pub steal: bool,
}

impl Store {
    /// Takes the lease when it is free, over, or its holder is known to be dead. Gives the new epoch, or
    /// `None` when somebody else has it.
    pub async fn claim_lease(&self, claim: &LeaseClaim<'_>) -> Result<Option<i64>, StoreError> {
        const SQL: &str = "
            UPDATE runs SET lease_epoch = lease_epoch + 1, lease_owner = $2, lease_until = $4,
                lease_instance = $6
            WHERE id = $1 AND (
                lease_owner = '' OR lease_until <= $3 OR $5
                OR (lease_instance = $6 AND lease_instance <> ''))
            RETURNING lease_epoch";
        Ok(with_writer!(self, db => {
            sqlx::query_scalar(SQL)
                .bind(claim.run)
                .bind(claim.owner)
                .bind(claim.now)
                .bind(claim.until)
                .bind(claim.steal)
                .bind(claim.instance)
                .fetch_optional(db)
                .await?
        }))
    }

    /// Prolongs the lease; false when somebody else has it, or it was given back.
    pub async fn renew_lease(
        &self,
        id: &RunId,
        epoch: i64,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE runs SET lease_until = $3
            WHERE id = $1 AND lease_epoch = $2 AND lease_owner <> ''";
        let renewed = with_writer!(self, db => {
            sqlx::query(SQL).bind(id).bind(epoch).bind(until).execute(db).await?.rows_affected()
        });
        Ok(renewed > 0)
    }

    /// Gives the lease back; without effect when somebody else has it.
    pub async fn release_lease(&self, id: &RunId, epoch: i64) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE runs SET lease_owner = '', lease_until = 0, lease_instance = ''
            WHERE id = $1 AND lease_epoch = $2";
        with_writer!(self, db => { sqlx::query(SQL).bind(id).bind(epoch).execute(db).await?; });
        Ok(())
    }

    /// Gives the lease back to somebody with these labels; without effect when somebody else has it.
    pub async fn hand_over_lease(
        &self,
        id: &RunId,
        epoch: i64,
        wants: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE runs SET lease_owner = '', lease_until = $4, lease_instance = '', wants = $3
            WHERE id = $1 AND lease_epoch = $2";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(id).bind(epoch).bind(wants).bind(now).execute(db).await?;
        });
        Ok(())
    }
}

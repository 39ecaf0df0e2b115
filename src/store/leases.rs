//! The lease of a run: one driver at a time, each with a higher epoch than the one before.

use super::{Store, StoreError, with_writer};
use crate::model::{RunId, Timestamp};

impl Store {
    /// Takes the lease when it is free, over, or `steal` is set (the caller knows that the holder is
    /// dead). Gives the new epoch, or `None` when somebody else has it.
    #[expect(clippy::too_many_arguments, reason = "each is a word of the one statement")]
    pub async fn claim_lease(
        &self,
        id: &RunId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
        steal: bool,
    ) -> Result<Option<i64>, StoreError> {
        const SQL: &str = "
            UPDATE runs SET lease_epoch = lease_epoch + 1, lease_owner = $2, lease_until = $4
            WHERE id = $1 AND (lease_owner = '' OR lease_until <= $3 OR $5)
            RETURNING lease_epoch";
        Ok(with_writer!(self, db => {
            sqlx::query_scalar(SQL)
                .bind(id)
                .bind(owner)
                .bind(now)
                .bind(until)
                .bind(steal)
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
            UPDATE runs SET lease_owner = '', lease_until = 0 WHERE id = $1 AND lease_epoch = $2";
        with_writer!(self, db => { sqlx::query(SQL).bind(id).bind(epoch).execute(db).await?; });
        Ok(())
    }
}

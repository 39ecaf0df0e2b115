//! Which finished runs the collector of traces has not got.

use crate::model::{RunId, Timestamp};
use crate::store::{Store, StoreError, with_db, with_writer};

/// A finished run of which something was not sent.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Untraced {
    /// The run.
    pub id: RunId,
    /// Events that were sent.
    pub traced: i64,
    /// Until when somebody sends the rest, or has put it off.
    pub trace_claimed_until: Timestamp,
}

impl Store {
    /// Runs that ended at `since` or later and were not sent as a whole, those that ended first first.
    pub async fn list_untraced_runs(
        &self,
        since: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Untraced>, StoreError> {
        const SQL: &str = "
            SELECT id, traced, trace_claimed_until FROM runs
            WHERE finished_at >= $1 AND traced < events AND trace_claimed_until <= $2
            ORDER BY finished_at LIMIT $3";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL).bind(since).bind(now).bind(i64::from(limit)).fetch_all(db).await?
        }))
    }

    /// Takes a run until a moment, if nobody else has since it was read.
    pub async fn claim_trace(&self, run: &Untraced, until: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE runs SET trace_claimed_until = $4
            WHERE id = $1 AND traced = $2 AND trace_claimed_until = $3";
        let claimed = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&run.id)
                .bind(run.traced)
                .bind(run.trace_claimed_until)
                .bind(until)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(claimed > 0)
    }

    /// So many events of a run were sent.
    pub async fn save_traced(&self, run: &RunId, events: i64) -> Result<(), StoreError> {
        const SQL: &str =
            "UPDATE runs SET traced = $2, trace_claimed_until = 0 WHERE id = $1 AND traced < $2";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(run).bind(events).execute(db).await?;
        });
        Ok(())
    }
}

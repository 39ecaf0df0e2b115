//! Who carries items out: one process at a time, each try under a higher epoch than the one before.

use sqlx::FromRow;

use super::QueueItemRow;
use crate::model::Timestamp;
use crate::store::{Store, StoreError, with_db, with_writer};

/// An item that may be taken.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct TakeableItem {
    /// Its id.
    pub id: String,
    /// Its epoch: who takes it names it, so that only one does.
    pub lease_epoch: i64,
}

/// An item that a process carries out.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct HeldItem {
    /// Its id.
    pub id: String,
    /// The try's epoch.
    pub lease_epoch: i64,
    /// When somebody asked for its end.
    pub cancelled_at: Option<Timestamp>,
}

/// Why an item goes back into its line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Postponed {
    /// When it is tried again.
    pub next_at: Timestamp,
    /// Tries that failed so far.
    pub failures: i64,
    /// Times in a row that it was told to come later.
    pub waits: i64,
    /// A word.
    pub reason: String,
    /// For people.
    pub error: String,
    /// Name of the try in the ledger.
    pub request_id: String,
    /// It is no longer for a batch: it is called.
    pub is_live: bool,
}

/// What a sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Items whose process has died and that wait again.
    pub waiting: u64,
    /// Items that have ended: too late, cancelled, or lost too often.
    pub ended: u64,
}

impl Store {
    /// Items whose turn it is, fairly: of the lines in which the fewest are carried out, or were begun since
    /// `begun_since`, for their team's weight; within a line by priority and age.
    pub async fn list_takeable_queue_items(
        &self,
        now: Timestamp,
        begun_since: Timestamp,
        limit: u32,
    ) -> Result<Vec<TakeableItem>, StoreError> {
        const SQL: &str = "
            SELECT id, lease_epoch FROM (
                SELECT q.id, q.lease_epoch, COALESCE(b.busy, 0) AS busy, COALESCE(t.weight, 1) AS weight,
                    ROW_NUMBER() OVER (PARTITION BY q.line ORDER BY q.priority DESC, q.id) AS place
                FROM queue_items q
                LEFT JOIN teams t ON t.name = q.team
                LEFT JOIN (
                    SELECT line, COUNT(*) AS busy FROM queue_items
                    WHERE (state = 'running' AND lease_owner <> 'batch') OR (started_at > $2 AND batch_id = '')
                    GROUP BY line
                ) b ON b.line = q.line
                WHERE q.state = 'queued' AND q.batch = '' AND q.next_at <= $1 AND q.deadline_at > $1
            ) AS ranked
            WHERE place <= $3
            ORDER BY (busy + place) * 1000 / weight, id LIMIT $3";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL)
                .bind(now)
                .bind(begun_since)
                .bind(i64::from(limit))
                .fetch_all(db)
                .await?
        }))
    }

    /// Takes an item, unless somebody else has.
    pub async fn claim_queue_item(
        &self,
        item: &TakeableItem,
        owner: &str,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Option<QueueItemRow>, StoreError> {
        const SQL: &str = "
            UPDATE queue_items SET state = 'running', lease_owner = $3, lease_until = $5,
                lease_epoch = lease_epoch + 1, attempts = attempts + 1, started_at = $4, reason = '', error = ''
            WHERE id = $1 AND lease_epoch = $2 AND state = 'queued'
            RETURNING *";
        Ok(with_writer!(self, db => {
            sqlx::query_as(SQL)
                .bind(&item.id)
                .bind(item.lease_epoch)
                .bind(owner)
                .bind(now)
                .bind(until)
                .fetch_optional(db)
                .await?
        }))
    }

    /// Gives a sign of life for an item; false when it was taken from this try.
    pub async fn renew_queue_item(
        &self,
        (id, epoch): (&str, i64),
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE queue_items SET lease_until = $3
            WHERE id = $1 AND lease_epoch = $2 AND state = 'running'";
        let renewed = with_writer!(self, db => {
            sqlx::query(SQL).bind(id).bind(epoch).bind(until).execute(db).await?.rows_affected()
        });
        Ok(renewed > 0)
    }

    /// The items that a process carries out, as far as the store knows.
    pub async fn list_held_queue_items(&self, owner: &str) -> Result<Vec<HeldItem>, StoreError> {
        const SQL: &str = "
            SELECT id, lease_epoch, cancelled_at FROM queue_items
            WHERE state = 'running' AND lease_owner = $1 ORDER BY id";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(owner).fetch_all(db).await?))
    }

    /// Puts an item back into its line; false when it was taken from this try, or somebody wants its end.
    pub async fn postpone_queue_item(
        &self,
        (id, epoch): (&str, i64),
        postponed: &Postponed,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE queue_items SET state = 'queued', lease_owner = '', lease_until = 0, next_at = $3,
                failures = $4, waits = $5, reason = $6, error = $7, request_id = $8, terms = '',
                batch = CASE WHEN $9 THEN '' ELSE batch END
            WHERE id = $1 AND lease_epoch = $2 AND state = 'running' AND cancelled_at IS NULL";
        let changed = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(id)
                .bind(epoch)
                .bind(postponed.next_at)
                .bind(postponed.failures)
                .bind(postponed.waits)
                .bind(&postponed.reason)
                .bind(&postponed.error)
                .bind(&postponed.request_id)
                .bind(postponed.is_live)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(changed > 0)
    }

    /// Ends items that are too late, and takes back those of processes that gave no sign: they wait again,
    /// unless that was their last try.
    pub async fn sweep_queue_items(&self, now: Timestamp, tries: i64) -> Result<Swept, StoreError> {
        const LATE: &str = "
            UPDATE queue_items SET state = 'failed', reason = 'expired', ended_at = $1, next_at = 0,
                error = 'it was not done by its deadline' || CASE WHEN error = '' THEN '' ELSE ': ' || error END,
                request = '', request_bytes = 0,
                webhook_state = CASE WHEN webhook = '' THEN '' ELSE 'waiting' END, webhook_at = $1
            WHERE state = 'queued' AND deadline_at <= $1";
        const ENDED: &str = "
            UPDATE queue_items SET state = CASE WHEN cancelled_at IS NULL THEN 'failed' ELSE 'cancelled' END,
                reason = CASE WHEN cancelled_at IS NULL THEN 'lost' ELSE '' END,
                error = CASE WHEN cancelled_at IS NULL THEN 'the process that made the call gave no sign' ELSE '' END,
                failures = failures + 1, ended_at = $1, next_at = 0, request = '', request_bytes = 0, lease_owner = '',
                webhook_state = CASE WHEN webhook = '' THEN '' ELSE 'waiting' END, webhook_at = $1
            WHERE state = 'running' AND lease_until <= $1
              AND (cancelled_at IS NOT NULL OR failures + 1 >= $2 OR deadline_at <= $1)";
        const AGAIN: &str = "
            UPDATE queue_items SET state = 'queued', lease_owner = '', next_at = $1, failures = failures + 1,
                reason = 'lost', error = 'the process that made the call gave no sign'
            WHERE state = 'running' AND lease_until <= $1";
        let mut swept = Swept::default();
        swept.ended += with_writer!(self, db => {
            sqlx::query(LATE).bind(now).execute(db).await?.rows_affected()
        });
        swept.ended += with_writer!(self, db => {
            sqlx::query(ENDED).bind(now).bind(tries).execute(db).await?.rows_affected()
        });
        swept.waiting = with_writer!(self, db => {
            sqlx::query(AGAIN).bind(now).execute(db).await?.rows_affected()
        });
        Ok(swept)
    }
}

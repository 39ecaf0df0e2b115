//! How items end: with an answer, without one, or because somebody wants it.

use super::{QueueItemRow, QueueScope};
use crate::model::Timestamp;
use crate::store::{Store, StoreError, with_db, with_writer};

/// The end of an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndedItem {
    /// `done`, `failed` or `cancelled`.
    pub state: String,
    /// Sealed, or empty.
    pub answer: String,
    /// Its size.
    pub answer_bytes: i64,
    /// Why it failed: a word, or empty.
    pub reason: String,
    /// The same for people.
    pub error: String,
    /// Tries that failed.
    pub failures: i64,
    /// Name of the try in the ledger.
    pub request_id: String,
    /// When.
    pub at: Timestamp,
}

/// What became of the wish to end an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// It has not begun, and never will.
    AtOnce(Box<QueueItemRow>),
    /// Its process is told.
    Asked(Box<QueueItemRow>),
    /// It had ended before.
    TooLate(Box<QueueItemRow>),
    /// There is none in this scope.
    Nowhere,
}

impl Store {
    /// Ends an item; false when it was taken from this try.
    pub async fn end_queue_item(
        &self,
        (id, epoch): (&str, i64),
        ended: &EndedItem,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE queue_items SET state = $3, answer = $4, answer_bytes = $5, reason = $6, error = $7,
                failures = $8, request_id = $9, ended_at = $10, next_at = 0, request = '', request_bytes = 0,
                lease_owner = '', lease_until = 0, terms = '',
                webhook_state = CASE WHEN webhook = '' THEN '' ELSE 'waiting' END, webhook_at = $10
            WHERE id = $1 AND lease_epoch = $2 AND state = 'running'";
        let changed = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(id)
                .bind(epoch)
                .bind(&ended.state)
                .bind(&ended.answer)
                .bind(ended.answer_bytes)
                .bind(&ended.reason)
                .bind(&ended.error)
                .bind(ended.failures)
                .bind(&ended.request_id)
                .bind(ended.at)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(changed > 0)
    }

    /// Ends an item that waits at once, and has the end of one that is carried out noted for its process.
    pub async fn cancel_queue_item(
        &self,
        scope: &QueueScope,
        id: &str,
        now: Timestamp,
    ) -> Result<Cancelled, StoreError> {
        const WAITING: &str = "
            UPDATE queue_items SET state = 'cancelled', cancelled_at = $4, ended_at = $4, next_at = 0, reason = '',
                error = '', request = '', request_bytes = 0,
                webhook_state = CASE WHEN webhook = '' THEN '' ELSE 'waiting' END, webhook_at = $4
            WHERE id = $1 AND line = $2 AND ($3 = '' OR project = $3) AND state = 'queued' RETURNING *";
        const RUNNING: &str = "
            UPDATE queue_items SET cancelled_at = COALESCE(cancelled_at, $4)
            WHERE id = $1 AND line = $2 AND ($3 = '' OR project = $3) AND state = 'running' RETURNING *";
        // It may be taken, or put back, between two looks.
        for _ in 0..3 {
            for sql in [WAITING, RUNNING] {
                let row: Option<QueueItemRow> = with_writer!(self, db => {
                    sqlx::query_as(sql)
                        .bind(id)
                        .bind(&scope.line)
                        .bind(&scope.project)
                        .bind(now)
                        .fetch_optional(db)
                        .await?
                });
                match row.map(Box::new) {
                    Some(row) if row.state == "cancelled" => return Ok(Cancelled::AtOnce(row)),
                    Some(row) => return Ok(Cancelled::Asked(row)),
                    None => {}
                }
            }
            match self.find_queue_item(scope, id).await? {
                None => return Ok(Cancelled::Nowhere),
                Some(row) if row.ended_at.is_some() => {
                    return Ok(Cancelled::TooLate(Box::new(row)));
                }
                Some(_) => {}
            }
        }
        Err(StoreError::Conflict { what: format!("queue item {id}") })
    }

    /// Unfinished items by state.
    pub async fn count_queue_items(&self) -> Result<Vec<(String, i64)>, StoreError> {
        const SQL: &str = "
            SELECT state, COUNT(*) FROM queue_items WHERE state IN ('queued', 'running') GROUP BY state";
        Ok(with_db!(self, db => sqlx::query_as(SQL).fetch_all(db).await?))
    }
}

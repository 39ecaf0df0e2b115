//! The table `queue_items`: calls that are made later, by whichever process takes them.

mod batches;
mod claims;
mod ends;
mod webhooks;

use sqlx::FromRow;

use crate::model::Timestamp;
use crate::store::{Store, StoreError, with_db, with_writer};

pub use batches::{BatchableItem, KnownRemote, QueueBatchRow};
pub use claims::{HeldItem, Postponed, Swept, TakeableItem};
pub use ends::{Cancelled, EndedItem};
pub use webhooks::WebhookRow;

/// One row of `queue_items`.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct QueueItemRow {
    /// Its id: a ULID.
    pub id: String,
    /// In which line it stands: `team/<name>` or `key/<name>`.
    pub line: String,
    /// The team's name, or empty.
    pub team: String,
    /// The project, as `team/name`, or empty.
    pub project: String,
    /// Name of the key.
    pub key_name: String,
    /// Digest of the key, hex.
    pub key_digest: String,
    /// What is called.
    pub path: String,
    /// The model.
    pub model: String,
    /// The endpoint of the app, or empty.
    pub endpoint: String,
    /// Higher is earlier within the line.
    pub priority: i64,
    /// `wait` or `fail`.
    pub on_budget: String,
    /// `queued`, `running`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// Sealed; empty once it has ended.
    pub request: String,
    /// The size of the request.
    pub request_bytes: i64,
    /// Sealed; empty until it has ended.
    pub answer: String,
    /// The size of the answer.
    pub answer_bytes: i64,
    /// Name of its last try in the ledger.
    pub request_id: String,
    /// Digest of what makes it the same when it is submitted again, or empty.
    pub idempotency: String,
    /// Digest of what was submitted.
    pub request_digest: String,
    /// Tries that were begun.
    pub attempts: i64,
    /// Tries that failed.
    pub failures: i64,
    /// Times in a row that it was told to come later.
    pub waits: i64,
    /// Why it waits or has failed: a word, or empty.
    pub reason: String,
    /// The same for people.
    pub error: String,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it may be tried (again).
    pub next_at: Timestamp,
    /// When it is given up.
    pub deadline_at: Timestamp,
    /// When its last try began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When somebody asked for its end.
    pub cancelled_at: Option<Timestamp>,
    /// Which process carries it out, or empty.
    pub lease_owner: String,
    /// Grows with each try: what an earlier one says counts no more.
    pub lease_epoch: i64,
    /// When the process counts as dead.
    pub lease_until: Timestamp,
    /// Sealed address and secret of who is told of its end, or empty.
    pub webhook: String,
    /// Empty, `waiting`, `sent` or `failed`.
    pub webhook_state: String,
    /// Tries to tell.
    pub webhook_attempts: i64,
    /// When it is told (again).
    pub webhook_at: Timestamp,
    /// Why the last try to tell failed, or empty.
    pub webhook_error: String,
    /// `live` or `fail`: what becomes of it when its batch has no answer; empty for calls.
    pub batch: String,
    /// The batch that it is in, or was in last, or empty.
    pub batch_id: String,
    /// JSON of what was agreed when it went into a batch, or empty.
    pub terms: String,
}

/// Whose items somebody may see: a line, and of a team's perhaps only those of one project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueScope {
    /// The line.
    pub line: String,
    /// The project; empty for all.
    pub project: String,
}

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueBounds {
    /// Unfinished items of a line.
    pub items_of_line: i64,
    /// Bytes that all items keep, ended ones too.
    pub bytes: i64,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// It waits now.
    New,
    /// It was submitted before.
    Before(Box<QueueItemRow>),
    /// The line has too many.
    LineFull,
    /// All together keep too much.
    BytesFull,
}

const FULL_ROW: &str = "
    INSERT INTO queue_items (
        id, line, team, project, key_name, key_digest, path, model, endpoint, priority, on_budget, state, request,
        request_bytes, idempotency, request_digest, created_at, next_at, deadline_at, webhook,
        answer, answer_bytes, request_id, attempts, failures, waits, reason, error, lease_owner, lease_epoch,
        lease_until, webhook_state, webhook_attempts, webhook_at, webhook_error, batch
    )
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'queued', $12, $13, $14, $15, $16, $17, $18, $19,
        '', 0, '', 0, 0, 0, '', '', '', 0, 0, '', 0, 0, '', $22
    WHERE (SELECT COUNT(*) FROM queue_items WHERE line = $2 AND state IN ('queued', 'running')) < $20
      AND (SELECT COALESCE(SUM(request_bytes + answer_bytes), 0) FROM queue_items) + $13 <= $21
    ON CONFLICT DO NOTHING";

impl Store {
    /// Stores an item that waits, unless it was submitted before or too much waits.
    pub async fn submit_queue_item(
        &self,
        row: &QueueItemRow,
        bounds: QueueBounds,
    ) -> Result<Submitted, StoreError> {
        if let Some(before) = self.find_queue_item_before(&row.idempotency).await? {
            return Ok(Submitted::Before(Box::new(before)));
        }
        let added = with_writer!(self, db => {
            sqlx::query(FULL_ROW)
                .bind(&row.id)
                .bind(&row.line)
                .bind(&row.team)
                .bind(&row.project)
                .bind(&row.key_name)
                .bind(&row.key_digest)
                .bind(&row.path)
                .bind(&row.model)
                .bind(&row.endpoint)
                .bind(row.priority)
                .bind(&row.on_budget)
                .bind(&row.request)
                .bind(row.request_bytes)
                .bind(&row.idempotency)
                .bind(&row.request_digest)
                .bind(row.created_at)
                .bind(row.next_at)
                .bind(row.deadline_at)
                .bind(&row.webhook)
                .bind(bounds.items_of_line)
                .bind(bounds.bytes)
                .bind(&row.batch)
                .execute(db)
                .await?
                .rows_affected()
        });
        if added > 0 {
            return Ok(Submitted::New);
        }
        // Somebody may have been faster with the same.
        if let Some(before) = self.find_queue_item_before(&row.idempotency).await? {
            return Ok(Submitted::Before(Box::new(before)));
        }
        let waiting = self.count_queue_items_of(&row.line).await?;
        let is_full = waiting >= bounds.items_of_line;
        Ok(if is_full { Submitted::LineFull } else { Submitted::BytesFull })
    }

    async fn find_queue_item_before(
        &self,
        idempotency: &str,
    ) -> Result<Option<QueueItemRow>, StoreError> {
        const SQL: &str = "SELECT * FROM queue_items WHERE idempotency = $1 AND idempotency <> ''";
        if idempotency.is_empty() {
            return Ok(None);
        }
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(idempotency).fetch_optional(db).await?))
    }

    /// Unfinished items of a line.
    pub async fn count_queue_items_of(&self, line: &str) -> Result<i64, StoreError> {
        const SQL: &str = "
            SELECT COUNT(*) FROM queue_items WHERE line = $1 AND state IN ('queued', 'running')";
        Ok(with_db!(self, db => sqlx::query_scalar(SQL).bind(line).fetch_one(db).await?))
    }

    /// An item that this scope may see.
    pub async fn find_queue_item(
        &self,
        scope: &QueueScope,
        id: &str,
    ) -> Result<Option<QueueItemRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM queue_items WHERE id = $1 AND line = $2 AND ($3 = '' OR project = $3)";
        Ok(with_db!(self, db => {
            let query = sqlx::query_as(SQL).bind(id).bind(&scope.line).bind(&scope.project);
            query.fetch_optional(db).await?
        }))
    }

    /// The newest items of a scope in one state, or in any where it is empty, that were submitted before the
    /// item `before`, if one is named.
    pub async fn list_queue_items(
        &self,
        scope: &QueueScope,
        (state, before): (&str, &str),
        limit: u32,
    ) -> Result<Vec<QueueItemRow>, StoreError> {
        const SQL: &str = "
            SELECT id, line, team, project, key_name, key_digest, path, model, endpoint, priority, on_budget, state,
                '' AS request, request_bytes, '' AS answer, answer_bytes, request_id, idempotency, request_digest,
                attempts, failures, waits, reason, error, created_at, next_at, deadline_at, started_at, ended_at,
                cancelled_at, lease_owner, lease_epoch, lease_until, '' AS webhook, webhook_state,
                webhook_attempts, webhook_at, webhook_error, batch, batch_id, '' AS terms
            FROM queue_items
            WHERE line = $1 AND ($2 = '' OR project = $2) AND ($3 = '' OR state = $3) AND ($4 = '' OR id < $4)
            ORDER BY id DESC LIMIT $5";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL)
                .bind(&scope.line)
                .bind(&scope.project)
                .bind(state)
                .bind(before)
                .bind(i64::from(limit))
                .fetch_all(db)
                .await?
        }))
    }

    /// How many of its line are before an item that waits.
    pub async fn count_queue_items_before(&self, row: &QueueItemRow) -> Result<i64, StoreError> {
        const SQL: &str = "
            SELECT COUNT(*) FROM queue_items
            WHERE line = $1 AND state = 'queued' AND (priority > $2 OR (priority = $2 AND id < $3))";
        Ok(with_db!(self, db => {
            sqlx::query_scalar(SQL)
                .bind(&row.line)
                .bind(row.priority)
                .bind(&row.id)
                .fetch_one(db)
                .await?
        }))
    }

    /// Removes items that ended before a moment and of which nobody is still to be told; gives how many.
    pub async fn delete_queue_items(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM queue_items WHERE id IN (
                SELECT id FROM queue_items
                WHERE ended_at < $1 AND webhook_state <> 'waiting' ORDER BY ended_at LIMIT $2
            )";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(before).bind(i64::from(limit)).execute(db).await?.rows_affected()
        }))
    }
}

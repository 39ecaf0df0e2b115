//! The table `queue_batches`: items that were handed to a provider together. The row is there before the provider knows
//! anything, so that nothing is handed over twice.

use sqlx::FromRow;

use super::QueueItemRow;
use crate::model::Timestamp;
use crate::store::{Store, StoreError, in_transaction, with_db, with_writer};

/// One row of `queue_batches`.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct QueueBatchRow {
    /// Its id: a ULID.
    pub id: String,
    /// Name of the provider.
    pub provider: String,
    /// Digest of the provider's key, or empty.
    pub key_digest: String,
    /// What is called.
    pub path: String,
    /// The provider's name of the model.
    pub model: String,
    /// `gathered`, `submitting`, `running` or `ended`.
    pub state: String,
    /// How many items it was made of.
    pub items: i64,
    /// Those that went out.
    pub sent: i64,
    /// The provider's id of what was uploaded, or empty.
    pub file: String,
    /// The provider's id of the batch, or empty.
    pub remote: String,
    /// `remote` was found by its size alone, and may be another's.
    pub is_guessed: bool,
    /// Batches of the provider that looked like this one and are others: ids with spaces between.
    pub strangers: String,
    /// The provider's last word on it.
    pub outcome: String,
    /// What went wrong last, or empty.
    pub error: String,
    /// Times in a row that the present step has failed.
    pub failures: i64,
    /// When it was gathered.
    pub created_at: Timestamp,
    /// When it was handed over, or was to be.
    pub submitted_at: Option<Timestamp>,
    /// When its end was asked for.
    pub cancelled_at: Option<Timestamp>,
    /// When it is looked at (again).
    pub next_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Which process looks after it, or empty.
    pub lease_owner: String,
    /// Grows with each that does.
    pub lease_epoch: i64,
    /// When that process counts as dead.
    pub lease_until: Timestamp,
}

/// An item that waits for a batch.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct BatchableItem {
    /// Its id.
    pub id: String,
    /// Its epoch: who takes it names it, so that only one does.
    pub lease_epoch: i64,
    /// What is called.
    pub path: String,
    /// The model.
    pub model: String,
    /// The size of the request.
    pub request_bytes: i64,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it may be tried (again).
    pub next_at: Timestamp,
}

/// A provider's batch that some batch here has.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct KnownRemote {
    /// The provider's id of it.
    pub remote: String,
    /// It was found by its size alone, and may be another's.
    pub is_guessed: bool,
}

impl Store {
    /// Items that wait for a batch, by priority and age.
    pub async fn list_batchable_queue_items(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<BatchableItem>, StoreError> {
        const SQL: &str = "
            SELECT id, lease_epoch, path, model, request_bytes, created_at, next_at FROM queue_items
            WHERE state = 'queued' AND batch <> '' AND next_at <= $1 AND deadline_at > $1
            ORDER BY priority DESC, id LIMIT $2";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL).bind(now).bind(i64::from(limit)).fetch_all(db).await?
        }))
    }

    /// Writes a batch down with those of its items that nobody else has taken; gives how many that were. With none
    /// there is no batch.
    pub async fn begin_queue_batch(
        &self,
        batch: &QueueBatchRow,
        items: &[BatchableItem],
        until: Timestamp,
    ) -> Result<i64, StoreError> {
        const TAKE: &str = "
            UPDATE queue_items SET state = 'running', lease_owner = 'batch', lease_until = $4, batch_id = $3,
                lease_epoch = lease_epoch + 1, attempts = attempts + 1, started_at = $5, reason = '', error = ''
            WHERE id = $1 AND lease_epoch = $2 AND state = 'queued' AND batch <> ''";
        const INSERT: &str = "
            INSERT INTO queue_batches (
                id, provider, key_digest, path, model, state, items, sent, file, remote, strangers, outcome, error,
                failures, created_at, next_at, lease_owner, lease_epoch, lease_until
            )
            VALUES ($1, $2, $3, $4, $5, 'gathered', $6, 0, '', '', '', '', '', 0, $7, $7, '', 0, 0)";
        Ok(in_transaction!(self, tx => {
            let mut taken = 0_i64;
            for item in items {
                let done = sqlx::query(TAKE)
                    .bind(&item.id)
                    .bind(item.lease_epoch)
                    .bind(&batch.id)
                    .bind(until)
                    .bind(batch.created_at)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                taken += i64::from(done > 0);
            }
            if taken > 0 {
                sqlx::query(INSERT)
                    .bind(&batch.id)
                    .bind(&batch.provider)
                    .bind(&batch.key_digest)
                    .bind(&batch.path)
                    .bind(&batch.model)
                    .bind(taken)
                    .bind(batch.created_at)
                    .execute(&mut *tx)
                    .await?;
            }
            taken
        }))
    }

    /// Takes a batch whose turn it is, and that nobody looks after.
    pub async fn claim_queue_batch(
        &self,
        owner: &str,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Option<QueueBatchRow>, StoreError> {
        const SQL: &str = "
            UPDATE queue_batches SET lease_owner = $1, lease_epoch = lease_epoch + 1, lease_until = $3
            WHERE lease_until <= $2 AND ended_at IS NULL AND id = (
                SELECT id FROM queue_batches WHERE ended_at IS NULL AND next_at <= $2 AND lease_until <= $2
                ORDER BY next_at, id LIMIT 1
            )
            RETURNING *";
        Ok(with_writer!(self, db => {
            sqlx::query_as(SQL).bind(owner).bind(now).bind(until).fetch_optional(db).await?
        }))
    }

    /// Writes how a batch stands; false when another process looks after it by now.
    pub async fn save_queue_batch(&self, row: &QueueBatchRow) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE queue_batches SET state = $3, sent = $4, file = $5, remote = $6, strangers = $7, outcome = $8,
                error = $9, failures = $10, submitted_at = $11, cancelled_at = $12, next_at = $13, ended_at = $14,
                lease_until = $15, is_guessed = $16
            WHERE id = $1 AND lease_epoch = $2";
        let saved = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&row.id)
                .bind(row.lease_epoch)
                .bind(&row.state)
                .bind(row.sent)
                .bind(&row.file)
                .bind(&row.remote)
                .bind(&row.strangers)
                .bind(&row.outcome)
                .bind(&row.error)
                .bind(row.failures)
                .bind(row.submitted_at)
                .bind(row.cancelled_at)
                .bind(row.next_at)
                .bind(row.ended_at)
                .bind(row.lease_until)
                .bind(row.is_guessed)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(saved > 0)
    }

    /// Gives a sign of life for a batch, or none any more.
    pub async fn renew_queue_batch(
        &self,
        (id, epoch): (&str, i64),
        until: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "UPDATE queue_batches SET lease_until = $3 WHERE id = $1 AND lease_epoch = $2";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(id).bind(epoch).bind(until).execute(db).await?;
        });
        Ok(())
    }

    /// Has an item called that waits for a batch which no provider takes any more, if it may be.
    pub async fn unbatch_queue_item(&self, item: &BatchableItem) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE queue_items SET batch = ''
            WHERE id = $1 AND lease_epoch = $2 AND state = 'queued' AND batch = 'live'";
        let done = with_writer!(self, db => {
            sqlx::query(SQL).bind(&item.id).bind(item.lease_epoch).execute(db).await?.rows_affected()
        });
        Ok(done > 0)
    }

    /// Items of a batch that have not ended.
    pub async fn list_queue_items_of_batch(
        &self,
        batch: &str,
    ) -> Result<Vec<QueueItemRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM queue_items WHERE batch_id = $1 AND batch_id <> '' AND state = 'running' AND lease_owner = 'batch'
            ORDER BY id";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(batch).fetch_all(db).await?))
    }

    /// Notes what an item of a batch was let through with.
    pub async fn save_queue_item_terms(
        &self,
        (id, epoch): (&str, i64),
        (terms, request_id): (&str, &str),
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE queue_items SET terms = $3, request_id = $4
            WHERE id = $1 AND lease_epoch = $2 AND state = 'running'";
        let saved = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(id)
                .bind(epoch)
                .bind(terms)
                .bind(request_id)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(saved > 0)
    }

    /// Has batches looked at now of which every item is to end.
    pub async fn hurry_queue_batches(&self, now: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "
            UPDATE queue_batches SET next_at = $1
            WHERE ended_at IS NULL AND cancelled_at IS NULL AND next_at > $1 AND state <> 'submitting'
                AND NOT is_guessed AND NOT EXISTS (
                SELECT 1 FROM queue_items
                WHERE batch_id = queue_batches.id AND state = 'running' AND lease_owner = 'batch'
                    AND cancelled_at IS NULL
            )";
        Ok(with_writer!(self, db => sqlx::query(SQL).bind(now).execute(db).await?.rows_affected()))
    }

    /// Which batches of a provider are known here, to others than this batch.
    pub async fn list_known_remotes(
        &self,
        (provider, batch): (&str, &str),
    ) -> Result<Vec<KnownRemote>, StoreError> {
        const SQL: &str = "
            SELECT remote, is_guessed AND ended_at IS NULL AS is_guessed FROM queue_batches
            WHERE provider = $1 AND remote <> '' AND id <> $2
            ORDER BY id DESC LIMIT 10000";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL).bind(provider).bind(batch).fetch_all(db).await?
        }))
    }

    /// Forgets batches that ended before a moment; gives how many.
    pub async fn delete_queue_batches(&self, before: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM queue_batches WHERE ended_at < $1";
        Ok(
            with_writer!(self, db => sqlx::query(SQL).bind(before).execute(db).await?.rows_affected()),
        )
    }
}

//! Who is told of the ends of items, each once, until it has arrived or was given up.

use sqlx::FromRow;

use crate::model::Timestamp;
use crate::store::{Store, StoreError, with_db, with_writer};

/// An end that is to be told.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct WebhookRow {
    /// The item.
    pub id: String,
    /// How it ended.
    pub state: String,
    /// What was called.
    pub path: String,
    /// The model.
    pub model: String,
    /// Tries of the call.
    pub attempts: i64,
    /// Why it failed, or empty.
    pub reason: String,
    /// The same for people.
    pub error: String,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Sealed address and secret.
    pub webhook: String,
    /// Tries to tell.
    pub webhook_attempts: i64,
    /// When it is told (again).
    pub webhook_at: Timestamp,
}

impl Store {
    /// Ends whose turn to be told has come.
    pub async fn list_queue_webhooks(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<WebhookRow>, StoreError> {
        const SQL: &str = "
            SELECT id, state, path, model, attempts, reason, error, COALESCE(ended_at, 0) AS ended_at, webhook,
                webhook_attempts, webhook_at
            FROM queue_items WHERE webhook_state = 'waiting' AND webhook_at <= $1
            ORDER BY webhook_at, id LIMIT $2";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL).bind(now).bind(i64::from(limit)).fetch_all(db).await?
        }))
    }

    /// Takes one for a while, if nobody else has taken it since `row` was read.
    pub async fn claim_queue_webhook(
        &self,
        row: &WebhookRow,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE queue_items SET webhook_at = $3, webhook_attempts = webhook_attempts + 1
            WHERE id = $1 AND webhook_at = $2 AND webhook_state = 'waiting'";
        let claimed = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&row.id)
                .bind(row.webhook_at)
                .bind(until)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(claimed > 0)
    }

    /// Says what came of a try to tell.
    pub async fn save_queue_webhook(
        &self,
        id: &str,
        (state, error): (&str, &str),
        next_at: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE queue_items SET webhook_state = $2, webhook_error = $3, webhook_at = $4 WHERE id = $1";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(id).bind(state).bind(error).bind(next_at).execute(db).await?;
        });
        Ok(())
    }
}

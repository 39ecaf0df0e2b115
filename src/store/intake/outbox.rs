//! The table `notifications`: what is told to subscribers, each once, until it has arrived or was given up.

use crate::model::{RunId, Timestamp};
use crate::store::{Store, StoreError, in_transaction, with_db, with_writer};

/// A row of `notifications`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct NotificationRow {
    /// Its id: a ULID.
    pub id: String,
    /// Whom it is for.
    pub subscription: String,
    /// What asks for it, so that nothing is told twice.
    pub cause: String,
    /// Word of the event.
    pub event: String,
    /// The run, or empty.
    pub run: RunId,
    /// What is told, JSON.
    pub notice: String,
    /// `waiting`, `sent` or `failed`.
    pub status: String,
    /// Tries so far.
    pub attempts: i64,
    /// When it is tried (again).
    pub next_at: Timestamp,
    /// Why the last try failed, or empty.
    pub error: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Store {
    /// Stores notifications that are not there yet; of a subscription with too many that wait, none.
    pub async fn insert_notifications(
        &self,
        rows: &[NotificationRow],
        waiting_max: i64,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO notifications (
                id, subscription, cause, event, run, notice, status, attempts, next_at, error, created_at
            )
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
            WHERE (SELECT COUNT(*) FROM notifications WHERE subscription = $2 AND status = 'waiting') < $12
            ON CONFLICT (subscription, cause) DO NOTHING";
        in_transaction!(self, tx => {
            for row in rows {
                sqlx::query(SQL)
                    .bind(&row.id)
                    .bind(&row.subscription)
                    .bind(&row.cause)
                    .bind(&row.event)
                    .bind(&row.run)
                    .bind(&row.notice)
                    .bind(&row.status)
                    .bind(row.attempts)
                    .bind(row.next_at)
                    .bind(&row.error)
                    .bind(row.created_at)
                    .bind(waiting_max)
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// Notifications whose turn has come, of subscriptions that are not disabled.
    pub async fn list_notifications_to_send(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<NotificationRow>, StoreError> {
        const SQL: &str = "
            SELECT n.* FROM notifications n JOIN subscriptions s ON s.id = n.subscription
            WHERE n.status = 'waiting' AND n.next_at <= $1 AND s.disabled_at IS NULL
            ORDER BY n.next_at, n.id LIMIT $2";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL).bind(now).bind(i64::from(limit)).fetch_all(db).await?
        }))
    }

    /// Takes a notification for a while, if nobody else has taken it since `row` was read.
    pub async fn claim_notification(
        &self,
        row: &NotificationRow,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE notifications SET next_at = $3, attempts = attempts + 1
            WHERE id = $1 AND next_at = $2 AND status = 'waiting'";
        let claimed = with_writer!(self, db => {
            sqlx::query(SQL).bind(&row.id).bind(row.next_at).bind(until).execute(db).await?.rows_affected()
        });
        Ok(claimed > 0)
    }

    /// Says what came of a try.
    pub async fn save_notification(
        &self,
        id: &str,
        (status, error): (&str, &str),
        next_at: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "UPDATE notifications SET status = $2, error = $3, next_at = $4 WHERE id = $1";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(id).bind(status).bind(error).bind(next_at).execute(db).await?;
        });
        Ok(())
    }

    /// The newest notifications of a subscription.
    pub async fn list_notifications(
        &self,
        subscription: &str,
        limit: u32,
    ) -> Result<Vec<NotificationRow>, StoreError> {
        const SQL: &str =
            "SELECT * FROM notifications WHERE subscription = $1 ORDER BY id DESC LIMIT $2";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL).bind(subscription).bind(i64::from(limit)).fetch_all(db).await?
        }))
    }

    /// Removes what was made before a moment, sent or not; gives how many.
    pub async fn delete_notifications(&self, before: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM notifications WHERE created_at < $1";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(before).execute(db).await?.rows_affected()
        }))
    }
}

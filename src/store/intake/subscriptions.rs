//! The table `subscriptions`: who is told what became of runs.

use crate::model::{ProjectId, TeamId, Timestamp};
use crate::store::{Store, StoreError, with_db, with_writer};

/// A row of `subscriptions`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SubscriptionRow {
    /// Its id: a ULID.
    pub id: String,
    /// Whose it is.
    pub team: TeamId,
    /// Which project; empty for every project of the team.
    pub project: ProjectId,
    /// `webhook`, `slack` or `mail`.
    pub form: String,
    /// Where to, sealed.
    pub target: String,
    /// What people see of it.
    pub shown_target: String,
    /// Words of the events, JSON.
    pub events: String,
    /// Globs of branches, JSON.
    pub branches: String,
    /// What webhooks are signed with, sealed; or empty.
    pub secret: String,
    /// What they are signed with too, sealed; or empty.
    pub former_secret: String,
    /// Until when.
    pub former_until: Timestamp,
    /// Notifications that were given up in a row.
    pub failures: i64,
    /// Since when nothing is sent any more.
    pub disabled_at: Option<Timestamp>,
    /// Why, or empty.
    pub disabled_reason: String,
    /// Login of who has made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

impl Store {
    /// Stores a new subscription.
    pub async fn insert_subscription(&self, row: &SubscriptionRow) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO subscriptions (
                id, team, project, form, target, shown_target, events, branches,
                secret, former_secret, former_until, failures, disabled_at, disabled_reason,
                created_by, created_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&row.id)
                .bind(&row.team)
                .bind(&row.project)
                .bind(&row.form)
                .bind(&row.target)
                .bind(&row.shown_target)
                .bind(&row.events)
                .bind(&row.branches)
                .bind(&row.secret)
                .bind(&row.former_secret)
                .bind(row.former_until)
                .bind(row.failures)
                .bind(row.disabled_at)
                .bind(&row.disabled_reason)
                .bind(&row.created_by)
                .bind(row.created_at)
                .execute(db)
                .await?;
        });
        Ok(())
    }

    /// Changes what people and the outbox may change of a subscription.
    pub async fn save_subscription(&self, row: &SubscriptionRow) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE subscriptions SET
                events = $2, branches = $3, secret = $4, former_secret = $5, former_until = $6,
                failures = $7, disabled_at = $8, disabled_reason = $9
            WHERE id = $1";
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&row.id)
                .bind(&row.events)
                .bind(&row.branches)
                .bind(&row.secret)
                .bind(&row.former_secret)
                .bind(row.former_until)
                .bind(row.failures)
                .bind(row.disabled_at)
                .bind(&row.disabled_reason)
                .execute(db)
                .await?;
        });
        Ok(())
    }

    /// Counts how many notifications were given up in a row: one more, or none any more. Gives the count.
    pub async fn count_failure(&self, id: &str, has_failed: bool) -> Result<i64, StoreError> {
        const SQL: &str = "
            UPDATE subscriptions SET failures = CASE WHEN $2 THEN failures + 1 ELSE 0 END
            WHERE id = $1 RETURNING failures";
        let count: Option<i64> = with_writer!(self, db => {
            sqlx::query_scalar(SQL).bind(id).bind(has_failed).fetch_optional(db).await?
        });
        Ok(count.unwrap_or_default())
    }

    /// Sends nothing any more; false when that was so before.
    pub async fn disable_subscription(
        &self,
        id: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE subscriptions SET disabled_at = $2, disabled_reason = $3
            WHERE id = $1 AND disabled_at IS NULL";
        let disabled = with_writer!(self, db => {
            sqlx::query(SQL).bind(id).bind(now).bind(reason).execute(db).await?.rows_affected()
        });
        Ok(disabled > 0)
    }

    /// Removes a subscription and what waits for it; false when there is none.
    pub async fn delete_subscription(&self, id: &str) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM subscriptions WHERE id = $1";
        let deleted = with_writer!(self, db => {
            sqlx::query(SQL).bind(id).execute(db).await?.rows_affected()
        });
        Ok(deleted > 0)
    }

    /// One subscription.
    pub async fn find_subscription(&self, id: &str) -> Result<Option<SubscriptionRow>, StoreError> {
        const SQL: &str = "SELECT * FROM subscriptions WHERE id = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(id).fetch_optional(db).await?))
    }

    /// All subscriptions of a team, oldest first.
    pub async fn list_subscriptions(
        &self,
        team: &TeamId,
    ) -> Result<Vec<SubscriptionRow>, StoreError> {
        const SQL: &str = "SELECT * FROM subscriptions WHERE team = $1 ORDER BY id";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(team).fetch_all(db).await?))
    }
}

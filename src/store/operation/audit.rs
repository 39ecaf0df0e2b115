//! The table `audit_events`: who did what. Rows are added, and never changed.

use crate::model::{ProjectId, TeamId, Timestamp};
use crate::store::{Store, StoreError, in_transaction, with_db, with_writer};

/// One row of `audit_events`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AuditRow {
    /// Its id: a ULID, so that rows sort by their moment.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// `person:<login>`, `run:<id>`, `system`.
    pub actor: String,
    /// Of the caller, or empty.
    pub address: String,
    /// Such as `secret.read`.
    pub action: String,
    /// Whose it concerns, or empty.
    pub team: TeamId,
    /// Which project, or empty.
    pub project: ProjectId,
    /// What it was done to.
    pub subject: String,
    /// More of it, JSON. Never a value of a secret.
    pub detail: String,
}

/// Which rows; what is empty or `None` does not count.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Whose they concern.
    pub team: Option<TeamId>,
    /// Which project.
    pub project: String,
    /// Who did it.
    pub actor: String,
    /// What was done: `secret.read`, or `secret.` for all that begin so.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Before this row.
    pub cursor: String,
    /// Rows at most.
    pub limit: u32,
}

/// The statement that adds a row, for those that add it with what it tells of.
macro_rules! insert_event {
    ($event:expr, $db:expr) => {{
        let event: &$crate::store::audit::AuditRow = $event;
        sqlx::query($crate::store::audit::INSERT)
            .bind(&event.id)
            .bind(event.at)
            .bind(&event.actor)
            .bind(&event.address)
            .bind(&event.action)
            .bind(&event.team)
            .bind(&event.project)
            .bind(&event.subject)
            .bind(&event.detail)
            .execute($db)
            .await?;
    }};
}
pub(crate) use insert_event;

pub(crate) const INSERT: &str = "
    INSERT INTO audit_events (id, at, actor, address, action, team, project, subject, detail)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

impl Store {
    /// Adds rows, all or none.
    pub async fn insert_audit_events(&self, events: &[AuditRow]) -> Result<(), StoreError> {
        in_transaction!(self, tx => {
            for event in events {
                insert_event!(event, &mut *tx);
            }
        });
        Ok(())
    }

    /// Rows, newest first.
    pub async fn list_audit_events(
        &self,
        filter: &AuditFilter,
    ) -> Result<Vec<AuditRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM audit_events
            WHERE ($1 = '' OR team = $1) AND ($2 = '' OR project = $2) AND ($3 = '' OR actor = $3)
                AND ($4 = '' OR substr(action, 1, length($4)) = $4) AND ($5 = '' OR subject = $5)
                AND at >= $6 AND at < $7 AND ($8 = '' OR id < $8)
            ORDER BY id DESC LIMIT $9";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL)
                .bind(filter.team.as_ref().map_or("", |it| it.0.as_str()))
                .bind(&filter.project)
                .bind(&filter.actor)
                .bind(&filter.action)
                .bind(&filter.subject)
                .bind(filter.since.unwrap_or(Timestamp(i64::MIN)))
                .bind(filter.until.unwrap_or(Timestamp(i64::MAX)))
                .bind(&filter.cursor)
                .bind(i64::from(filter.limit))
                .fetch_all(db)
                .await?
        }))
    }

    /// The newest row of an action in a project, with an id above this one.
    pub async fn find_newest_audit_event(
        &self,
        (team, project): (&TeamId, &ProjectId),
        action: &str,
        above: &str,
    ) -> Result<Option<AuditRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM audit_events
            WHERE team = $1 AND project = $2 AND action = $3 AND id > $4
            ORDER BY id DESC LIMIT 1";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL)
                .bind(team)
                .bind(project)
                .bind(action)
                .bind(above)
                .fetch_optional(db)
                .await?
        }))
    }

    /// Removes at most `limit` rows that are older than `before`; gives how many.
    pub async fn delete_audit_events(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM audit_events WHERE id IN (
                SELECT id FROM audit_events WHERE at < $1 ORDER BY at LIMIT $2
            )";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(before).bind(i64::from(limit)).execute(db).await?.rows_affected()
        }))
    }
}

//! The table `schedules`.

use crate::model::{ProjectId, Timestamp};
use crate::store::{Store, StoreError, in_transaction, with_db, with_writer};

/// One schedule of a project's pipeline.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ScheduleRow {
    /// Whose.
    pub project: ProjectId,
    /// Of which pipeline.
    pub pipeline: String,
    /// Its name there.
    pub name: String,
    /// Five fields.
    pub cron: String,
    /// Name of the tz database.
    pub timezone: String,
    /// `run_once` or `skip`.
    pub missed: String,
    /// The branch to run; empty for the default one.
    pub branch: String,
    /// When it is due.
    pub next_at: Timestamp,
    /// For which moment it was started last; 0 for never.
    pub last_at: Timestamp,
    /// Whether somebody has stopped it.
    pub is_paused: bool,
}

impl Store {
    /// Makes the schedules of a project those that its pipelines declare now. One whose words are the same
    /// as before stays due when it was.
    pub async fn save_schedules(
        &self,
        project: &ProjectId,
        schedules: &[ScheduleRow],
    ) -> Result<(), StoreError> {
        const DELETE: &str = "
            DELETE FROM schedules WHERE project = $1 AND pipeline = $2 AND name = $3";
        const SAVE: &str = "
            INSERT INTO schedules (
                project, pipeline, name, cron, timezone, missed, branch, next_at, last_at, is_paused
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, false)
            ON CONFLICT (project, pipeline, name) DO UPDATE SET
                next_at = CASE
                    WHEN schedules.cron = excluded.cron AND schedules.timezone = excluded.timezone
                    THEN schedules.next_at ELSE excluded.next_at END,
                cron = excluded.cron, timezone = excluded.timezone, missed = excluded.missed,
                branch = excluded.branch";
        let known = self.list_schedules(project).await?;
        let is_gone = |it: &&ScheduleRow| {
            !schedules.iter().any(|new| (&new.pipeline, &new.name) == (&it.pipeline, &it.name))
        };
        in_transaction!(self, tx => {
            for gone in known.iter().filter(is_gone) {
                let query = sqlx::query(DELETE).bind(project).bind(&gone.pipeline).bind(&gone.name);
                query.execute(&mut *tx).await?;
            }
            for row in schedules {
                sqlx::query(SAVE)
                    .bind(project)
                    .bind(&row.pipeline)
                    .bind(&row.name)
                    .bind(&row.cron)
                    .bind(&row.timezone)
                    .bind(&row.missed)
                    .bind(&row.branch)
                    .bind(row.next_at)
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// The schedules of a project by pipeline and name.
    pub async fn list_schedules(
        &self,
        project: &ProjectId,
    ) -> Result<Vec<ScheduleRow>, StoreError> {
        const SQL: &str = "SELECT * FROM schedules WHERE project = $1 ORDER BY pipeline, name";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(project).fetch_all(db).await?))
    }

    /// Schedules whose moment has come, the longest due first.
    pub async fn list_due_schedules(&self, now: Timestamp) -> Result<Vec<ScheduleRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM schedules WHERE NOT is_paused AND next_at <= $1 ORDER BY next_at LIMIT 100";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(now).fetch_all(db).await?))
    }

    /// Moves a schedule on to its next moment, if nobody else has since `row` was read.
    pub async fn advance_schedule(
        &self,
        row: &ScheduleRow,
        next_at: Timestamp,
        last_at: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE schedules SET next_at = $5, last_at = $6
            WHERE project = $1 AND pipeline = $2 AND name = $3 AND next_at = $4";
        let moved = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&row.project)
                .bind(&row.pipeline)
                .bind(&row.name)
                .bind(row.next_at)
                .bind(next_at)
                .bind(last_at)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(moved > 0)
    }
}

//! The table `commit_statuses`: an outbox in which only the newest state of each status waits. And which
//! runs have something to tell.

use crate::model::{ProjectId, RunId, Timestamp};
use crate::store::{Store, StoreError, in_transaction, with_db, with_writer};

/// How a status should stand at the forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedStatus {
    /// Of which project's repository.
    pub project: ProjectId,
    /// Of which commit.
    pub revision: String,
    /// Which status.
    pub context: String,
    /// The run it tells of, or empty.
    pub run: RunId,
    /// The word of the state.
    pub state: String,
    /// One line.
    pub description: String,
    /// Markdown, or empty.
    pub summary: String,
}

/// One row of `commit_statuses`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct StatusRow {
    /// Of which project's repository.
    pub project: ProjectId,
    /// Of which commit.
    pub revision: String,
    /// Which status.
    pub context: String,
    /// The run it tells of, or empty.
    pub run: RunId,
    /// The word of the state.
    pub state: String,
    /// One line.
    pub description: String,
    /// Markdown, or empty.
    pub summary: String,
    /// Counts changes.
    pub version: i64,
    /// The version the forge has, or has refused.
    pub posted: i64,
    /// The forge's id of the check, or empty.
    pub remote_id: String,
    /// How often the present version was tried.
    pub attempts: i64,
    /// When it is tried next.
    pub next_at: Timestamp,
    /// Why the last try failed, or empty.
    pub error: String,
}

impl Store {
    /// Writes down how statuses should stand. One that stands so already is left alone; an older run does
    /// not overwrite what a newer one says of the same commit.
    pub async fn save_statuses(
        &self,
        wanted: &[WantedStatus],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO commit_statuses (
                project, revision, context, run, state, description, summary,
                version, posted, remote_id, attempts, next_at, error
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, 1, 0, '', 0, $8, '')
            ON CONFLICT (project, revision, context) DO UPDATE SET
                run = excluded.run, state = excluded.state, description = excluded.description,
                summary = excluded.summary, version = commit_statuses.version + 1, attempts = 0, error = ''
            WHERE commit_statuses.run <= excluded.run AND (
                commit_statuses.state <> excluded.state
                OR commit_statuses.description <> excluded.description
                OR commit_statuses.summary <> excluded.summary)";
        in_transaction!(self, tx => {
            for status in wanted {
                sqlx::query(SQL)
                    .bind(&status.project)
                    .bind(&status.revision)
                    .bind(&status.context)
                    .bind(&status.run)
                    .bind(&status.state)
                    .bind(&status.description)
                    .bind(&status.summary)
                    .bind(now)
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// Statuses that the forge does not have as they should be, and whose turn has come.
    pub async fn list_statuses_to_post(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<StatusRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM commit_statuses WHERE posted < version AND next_at <= $1
            ORDER BY next_at, project, revision, context LIMIT $2";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL).bind(now).bind(i64::from(limit)).fetch_all(db).await?
        }))
    }

    /// Takes a status for a while, if nobody else has taken it since `row` was read.
    pub async fn claim_status(
        &self,
        row: &StatusRow,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE commit_statuses SET next_at = $5, attempts = attempts + 1
            WHERE project = $1 AND revision = $2 AND context = $3 AND version = $4 AND next_at = $6
              AND posted < version";
        let claimed = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&row.project)
                .bind(&row.revision)
                .bind(&row.context)
                .bind(row.version)
                .bind(until)
                .bind(row.next_at)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(claimed > 0)
    }

    /// Says what came of a try: `posted` is the version that needs no further one, `error` why it failed.
    /// A newer version is due at `next_at` at the earliest.
    pub async fn save_post(&self, row: &StatusRow, now: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE commit_statuses SET
                posted = $4, remote_id = $5, error = $6,
                next_at = CASE WHEN version > $7 AND $8 < next_at THEN $8 ELSE $9 END
            WHERE project = $1 AND revision = $2 AND context = $3";
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&row.project)
                .bind(&row.revision)
                .bind(&row.context)
                .bind(row.posted)
                .bind(&row.remote_id)
                .bind(&row.error)
                .bind(row.version)
                .bind(row.next_at.max(now))
                .bind(row.next_at)
                .execute(db)
                .await?;
        });
        Ok(())
    }

    /// All statuses of a commit.
    pub async fn list_statuses(
        &self,
        project: &ProjectId,
        revision: &str,
    ) -> Result<Vec<StatusRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM commit_statuses WHERE project = $1 AND revision = $2 ORDER BY context";
        Ok(
            with_db!(self, db => sqlx::query_as(SQL).bind(project).bind(revision).fetch_all(db).await?),
        )
    }

    /// Runs of projects with events that their statuses do not tell of yet.
    pub async fn list_runs_to_tell(&self, limit: u32) -> Result<Vec<RunId>, StoreError> {
        const SQL: &str =
            "SELECT id FROM runs WHERE project <> '' AND told < events ORDER BY id LIMIT $1";
        Ok(with_db!(self, db => {
            sqlx::query_scalar(SQL).bind(i64::from(limit)).fetch_all(db).await?
        }))
    }

    /// Says of how many events the statuses of a run tell.
    pub async fn save_told(&self, run: &RunId, events: i64) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE runs SET told = $2 WHERE id = $1 AND told < $2";
        with_writer!(self, db => { sqlx::query(SQL).bind(run).bind(events).execute(db).await?; });
        Ok(())
    }
}

//! What has been kept for long enough, found and removed a few rows at a time.

use sqlx::FromRow;

use crate::model::{AttemptName, ProjectId, RunId, Timestamp};
use crate::store::runs::green::green;
use crate::store::{Store, StoreError, read_word, with_db, with_writer};

/// Runs that are counted together: those of a project, or from a repository where there is no project.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct RunFamily {
    /// The project, or empty.
    pub project: ProjectId,
    /// The repository, where there is no project; else empty.
    pub repository: String,
    /// Days that its finished runs are kept; below zero for what the server says.
    pub keep_days: i64,
    /// Newest runs of it that stay; below zero for what the server says.
    pub keep_count: i64,
    /// The branch whose last green runs stay; empty for all branches together.
    pub trunk: String,
}

/// Which runs of a family may go.
#[derive(Debug, Clone)]
pub struct RunAge {
    /// Those that ended before this moment,
    pub before: Timestamp,
    /// that were made before this run,
    pub cutoff: RunId,
    /// and after that one.
    pub after: RunId,
    /// At most so many.
    pub limit: u32,
}

impl Store {
    /// All families of runs.
    pub async fn list_run_families(&self) -> Result<Vec<RunFamily>, StoreError> {
        const PROJECTS: &str = "
            SELECT id AS project, '' AS repository, keep_runs_days AS keep_days,
                keep_runs_count AS keep_count, default_branch AS trunk
            FROM projects ORDER BY id";
        const REPOSITORIES: &str = "
            SELECT '' AS project, repository, CAST(-1 AS BIGINT) AS keep_days,
                CAST(-1 AS BIGINT) AS keep_count, '' AS trunk
            FROM runs WHERE project = '' GROUP BY repository ORDER BY repository";
        let mut families: Vec<RunFamily> =
            with_db!(self, db => sqlx::query_as(PROJECTS).fetch_all(db).await?);
        let others: Vec<RunFamily> =
            with_db!(self, db => sqlx::query_as(REPOSITORIES).fetch_all(db).await?);
        families.extend(others);
        Ok(families)
    }

    /// How long a project keeps runs, in days, and how many; `None` for what the server says.
    pub async fn find_run_retention(
        &self,
        project: &ProjectId,
    ) -> Result<(Option<u32>, Option<u32>), StoreError> {
        const SQL: &str = "SELECT keep_runs_days, keep_runs_count FROM projects WHERE id = $1";
        let found: Option<(i64, i64)> =
            with_db!(self, db => sqlx::query_as(SQL).bind(project).fetch_optional(db).await?);
        let (days, count) = found.unwrap_or((-1, -1));
        Ok((u32::try_from(days).ok(), u32::try_from(count).ok()))
    }

    /// Says how long a project keeps runs; `None` for what the server says.
    pub async fn save_run_retention(
        &self,
        project: &ProjectId,
        days: Option<u32>,
        count: Option<u32>,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "UPDATE projects SET keep_runs_days = $2, keep_runs_count = $3 WHERE id = $1";
        let number = |it: Option<u32>| it.map_or(-1, i64::from);
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(project)
                .bind(number(days))
                .bind(number(count))
                .execute(db)
                .await?;
        });
        Ok(())
    }

    /// The oldest of the `count` newest runs of a family; `None` when there are not so many.
    pub async fn find_cutoff(
        &self,
        family: &RunFamily,
        count: i64,
    ) -> Result<Option<RunId>, StoreError> {
        const SQL: &str = "
            SELECT id FROM runs WHERE project = $1 AND ($2 = '' OR repository = $2)
            ORDER BY id DESC LIMIT 1 OFFSET $3";
        Ok(with_db!(self, db => {
            sqlx::query_scalar(SQL)
                .bind(&family.project)
                .bind(&family.repository)
                .bind(count.max(1) - 1)
                .fetch_optional(db)
                .await?
        }))
    }

    /// The last green run of each pipeline of a family on its trunk, which later ones are compared with.
    pub async fn list_last_green_runs(&self, family: &RunFamily) -> Result<Vec<RunId>, StoreError> {
        const SQL: &str = concat!(
            "SELECT max(id) FROM runs
            WHERE project = $1 AND ($2 = '' OR repository = $2) AND ($3 = '' OR branch = $3) AND",
            green!("runs"),
            "GROUP BY pipeline"
        );
        Ok(with_db!(self, db => {
            sqlx::query_scalar(SQL)
                .bind(&family.project)
                .bind(&family.repository)
                .bind(&family.trunk)
                .fetch_all(db)
                .await?
        }))
    }

    /// Finished runs of a family that have been kept for long enough, oldest first.
    pub async fn list_old_runs(
        &self,
        family: &RunFamily,
        age: &RunAge,
    ) -> Result<Vec<RunId>, StoreError> {
        const SQL: &str = "
            SELECT id FROM runs
            WHERE project = $1 AND ($2 = '' OR repository = $2)
                AND status IN ('passed', 'failed', 'cancelled') AND finished_at < $3
                AND id < $4 AND id > $5
            ORDER BY id LIMIT $6";
        Ok(with_db!(self, db => {
            sqlx::query_scalar(SQL)
                .bind(&family.project)
                .bind(&family.repository)
                .bind(age.before)
                .bind(&age.cutoff)
                .bind(&age.after)
                .bind(i64::from(age.limit))
                .fetch_all(db)
                .await?
        }))
    }

    /// Runs whose results unfinished runs have taken over.
    pub async fn list_reused_runs(&self) -> Result<Vec<RunId>, StoreError> {
        #[derive(serde::Deserialize)]
        struct Reused {
            from: AttemptName,
        }
        const SQL: &str = "
            SELECT body FROM run_events
            WHERE type = 'stage_reused' AND run IN (
                SELECT id FROM runs WHERE status IN ('queued', 'running', 'waiting', 'cancelling')
            )";
        let bodies: Vec<String> =
            with_db!(self, db => sqlx::query_scalar(SQL).fetch_all(db).await?);
        let run = |body: &String| {
            let reused: Reused =
                crate::store::read_json(|| "event of a reused stage".to_owned(), body)?;
            Ok(reused.from.run)
        };
        bodies.iter().map(run).collect()
    }

    /// Whether a run ended before a moment; `None` when there is no such run.
    pub async fn has_ended_before(
        &self,
        run: &RunId,
        before: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        const SQL: &str = "SELECT status, finished_at FROM runs WHERE id = $1";
        let row: Option<(String, Option<Timestamp>)> =
            with_db!(self, db => sqlx::query_as(SQL).bind(run).fetch_optional(db).await?);
        let Some((status, finished_at)) = row else { return Ok(None) };
        let status: crate::model::RunStatus =
            read_word(|| format!("status of run {run}"), &status)?;
        Ok(Some(status.is_finished() && finished_at.is_some_and(|it| it < before)))
    }

    /// Lets artifacts of a finished run expire.
    pub async fn delete_artifacts_of(&self, run: &RunId) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM artifacts WHERE run = $1 AND EXISTS (
                SELECT 1 FROM runs WHERE id = $1 AND status IN ('passed', 'failed', 'cancelled')
            )";
        Ok(with_writer!(self, db => sqlx::query(SQL).bind(run).execute(db).await?.rows_affected()))
    }

    /// At most `limit` runs after `after`, in the order of their ids, that have artifacts.
    pub async fn list_runs_with_artifacts(
        &self,
        after: &RunId,
        limit: u32,
    ) -> Result<Vec<RunId>, StoreError> {
        const SQL: &str = "SELECT DISTINCT run FROM artifacts WHERE run > $1 ORDER BY run LIMIT $2";
        Ok(with_db!(self, db => {
            sqlx::query_scalar(SQL).bind(after).bind(i64::from(limit)).fetch_all(db).await?
        }))
    }

    /// Whether a run is the last green one of its pipeline on trunk.
    pub async fn is_last_green(&self, run: &RunId) -> Result<bool, StoreError> {
        const SQL: &str = concat!(
            "SELECT count(*) FROM runs AS it
            LEFT JOIN projects ON projects.id = it.project
            WHERE it.id = $1 AND",
            green!("it"),
            "AND (projects.id IS NULL OR it.branch = projects.default_branch)
                AND NOT EXISTS (
                    SELECT 1 FROM runs AS newer
                    WHERE newer.project = it.project AND newer.pipeline = it.pipeline
                        AND newer.repository = it.repository
                        AND (projects.id IS NULL OR newer.branch = it.branch) AND newer.id > it.id AND",
            green!("newer"),
            ")"
        );
        let count: i64 =
            with_db!(self, db => sqlx::query_scalar(SQL).bind(run).fetch_one(db).await?);
        Ok(count > 0)
    }

    /// Removes at most `limit` deliveries that were processed before a moment; gives how many.
    pub async fn delete_old_deliveries(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM deliveries WHERE id IN (
                SELECT id FROM deliveries
                WHERE status <> 'received' AND processed_at < $1 ORDER BY processed_at LIMIT $2
            )";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(before).bind(i64::from(limit)).execute(db).await?.rows_affected()
        }))
    }
}

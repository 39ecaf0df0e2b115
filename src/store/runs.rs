//! The tables `runs` and `run_plans`.

use sqlx::FromRow;

pub(super) mod green;
mod list;
mod times;

pub use super::events::{Append, StoredEvent};
use super::{Store, StoreError, in_transaction, with_db, with_writer};
use crate::model::{ProjectId, RunId, RunStatus, Timestamp};
pub use list::RunFilter;
pub use times::{RunTimesRow, TimesFilter};

/// A run to insert.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Where the code comes from: a folder or an address.
    pub repository: String,
    /// `push`, `pull_request`, `schedule` or `manual`.
    pub event: String,
    /// Branch, or empty.
    pub branch: String,
    /// Commit id.
    pub revision: String,
    /// Git tree that is checked out (differs from the commit's when the working tree is dirty).
    pub tree: String,
    /// Subject line of the commit.
    pub title: String,
    /// Whose run it is on a server; empty from a terminal.
    pub project: ProjectId,
    /// What asked for it, so that nothing asks twice (`delivery:…`, `schedule:…`); or empty.
    pub cause: String,
    /// First-parent commits up to the revision: the order of trunk. 0 when not known.
    pub height: i64,
    /// Labels that its first driver must have: `key=value` lines in order, or empty.
    pub wants: String,
    /// The plan as JSON.
    pub plan: String,
    /// The context as JSON.
    pub context: String,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// One row of `runs`: what lists and filters need. `status` follows the events.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// Counts the runs of this database, from 1; for people.
    pub number: i64,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Where the code comes from.
    pub repository: String,
    /// What started it.
    pub event: String,
    /// Branch, or empty.
    pub branch: String,
    /// Commit id.
    pub revision: String,
    /// Git tree.
    pub tree: String,
    /// Subject line of the commit.
    pub title: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Number of stored events; the next one has this sequence number.
    pub events: i64,
    /// Epoch of the lease; 0 before the first driver.
    pub lease_epoch: i64,
    /// Who holds the lease, or empty.
    pub lease_owner: String,
    /// Until when the lease holds.
    pub lease_until: Timestamp,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its stages could start, the last time; `None` while it waits for that.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Whose run it is on a server; empty from a terminal.
    pub project: ProjectId,
    /// What asked for it, or empty.
    pub cause: String,
    /// First-parent commits up to the revision; 0 when not known.
    pub height: i64,
    /// Stages that have failed and were not allowed to; of a run that goes on, too.
    pub failed_stages: i64,
}

/// A run as the table has it.
#[derive(FromRow)]
struct Record {
    id: RunId,
    number: i64,
    pipeline: String,
    repository: String,
    event: String,
    branch: String,
    revision: String,
    tree: String,
    title: String,
    status: String,
    events: i64,
    lease_epoch: i64,
    lease_owner: String,
    lease_until: Timestamp,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    project: ProjectId,
    cause: String,
    height: i64,
    failed_stages: i64,
}

impl TryFrom<Record> for RunRow {
    type Error = StoreError;

    fn try_from(record: Record) -> Result<Self, StoreError> {
        let status = serde_json::from_value(record.status.into()).map_err(|source| {
            StoreError::Unreadable { what: format!("status of run {}", record.id), source }
        })?;
        Ok(Self {
            id: record.id,
            number: record.number,
            pipeline: record.pipeline,
            repository: record.repository,
            event: record.event,
            branch: record.branch,
            revision: record.revision,
            tree: record.tree,
            title: record.title,
            status,
            events: record.events,
            lease_epoch: record.lease_epoch,
            lease_owner: record.lease_owner,
            lease_until: record.lease_until,
            created_at: record.created_at,
            started_at: record.started_at,
            finished_at: record.finished_at,
            project: record.project,
            cause: record.cause,
            height: record.height,
            failed_stages: record.failed_stages,
        })
    }
}

impl RunRow {
    /// Whether it has failed though it goes on: what is under way is ended, or people are asked.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failed_stages > 0 && !self.status.is_finished()
    }
}

impl Store {
    /// The run of a project's pipeline that something has asked for.
    pub async fn find_run_by_cause(
        &self,
        project: &ProjectId,
        pipeline: &str,
        cause: &str,
    ) -> Result<Option<RunRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM runs WHERE project = $1 AND pipeline = $2 AND cause = $3 AND cause <> ''";
        let record: Option<Record> = with_db!(self, db => {
            sqlx::query_as(SQL).bind(project).bind(pipeline).bind(cause).fetch_optional(db).await?
        });
        record.map(RunRow::try_from).transpose()
    }

    /// Adds a queued run with its plan and context; gives its number.
    pub async fn insert_run(&self, run: &NewRun) -> Result<i64, StoreError> {
        const NUMBER: &str =
            "UPDATE counters SET value = value + 1 WHERE name = 'runs' RETURNING value";
        const PLAN: &str = "INSERT INTO run_plans (run, plan, context) VALUES ($1, $2, $3)";
        let number = in_transaction!(self, tx => {
            let number: i64 = sqlx::query_scalar(NUMBER).fetch_one(&mut *tx).await?;
            sqlx::query(INSERT)
                .bind(&run.id)
                .bind(number)
                .bind(&run.pipeline)
                .bind(&run.repository)
                .bind(&run.event)
                .bind(&run.branch)
                .bind(&run.revision)
                .bind(&run.tree)
                .bind(&run.title)
                .bind(run.created_at)
                .bind(&run.project)
                .bind(&run.cause)
                .bind(run.height)
                .bind(&run.wants)
                .execute(&mut *tx)
                .await?;
            sqlx::query(PLAN)
                .bind(&run.id)
                .bind(&run.plan)
                .bind(&run.context)
                .execute(&mut *tx)
                .await?;
            number
        });
        Ok(number)
    }

    /// The run with this id.
    pub async fn find_run(&self, id: &RunId) -> Result<Option<RunRow>, StoreError> {
        const SQL: &str = "SELECT * FROM runs WHERE id = $1";
        let record: Option<Record> =
            with_db!(self, db => sqlx::query_as(SQL).bind(id).fetch_optional(db).await?);
        record.map(RunRow::try_from).transpose()
    }

    /// Those of these runs that are there, in no order; `ids` are few.
    pub async fn list_runs_by_id(&self, ids: &[String]) -> Result<Vec<RunRow>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let records: Vec<Record> = with_db!(self, db => {
            let mut sql = sqlx::QueryBuilder::new("SELECT * FROM runs WHERE id IN (");
            let mut list = sql.separated(", ");
            for id in ids {
                list.push_bind(id);
            }
            sql.push(")");
            sql.build_query_as().fetch_all(db).await?
        });
        records.into_iter().map(RunRow::try_from).collect()
    }

    /// The run with this number.
    pub async fn find_run_by_number(&self, number: i64) -> Result<Option<RunRow>, StoreError> {
        const SQL: &str = "SELECT * FROM runs WHERE number = $1";
        let record: Option<Record> =
            with_db!(self, db => sqlx::query_as(SQL).bind(number).fetch_optional(db).await?);
        record.map(RunRow::try_from).transpose()
    }

    /// Runs that have not finished, oldest first: what a worker has to look after.
    pub async fn list_unfinished_runs(&self) -> Result<Vec<RunRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM runs WHERE status IN ('queued', 'running', 'waiting', 'cancelling')
            ORDER BY id";
        let records: Vec<Record> = with_db!(self, db => sqlx::query_as(SQL).fetch_all(db).await?);
        records.into_iter().map(RunRow::try_from).collect()
    }

    /// Plan and context of a run, as JSON.
    pub async fn find_plan(&self, id: &RunId) -> Result<Option<(String, String)>, StoreError> {
        const SQL: &str = "SELECT plan, context FROM run_plans WHERE run = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(id).fetch_optional(db).await?))
    }

    /// Removes a finished run and everything that hangs on it; no error if it is gone.
    /// [`StoreError::Unfinished`] when it has not finished.
    pub async fn delete_run(&self, id: &RunId) -> Result<(), StoreError> {
        const SQL: &str =
            "DELETE FROM runs WHERE id = $1 AND status IN ('passed', 'failed', 'cancelled')";
        let deleted = with_writer!(self, db => {
            sqlx::query(SQL).bind(id).execute(db).await?.rows_affected()
        });
        if deleted == 0 && self.find_run(id).await?.is_some() {
            return Err(StoreError::Unfinished { run: id.to_string() });
        }
        Ok(())
    }
}

const INSERT: &str = "
    INSERT INTO runs (
        id, number, pipeline, repository, event, branch, revision, tree, title,
        status, events, lease_epoch, lease_owner, lease_until, created_at, project, cause, height,
        wants
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', 0, 0, '', 0, $10, $11, $12, $13, $14)";

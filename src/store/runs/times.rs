//! How long runs took and waited, for trends: a bounded number of the newest runs of each span of time.

use sqlx::QueryBuilder;

use crate::model::{ProjectId, RunId, Timestamp};
use crate::store::{Store, StoreError, with_db};

/// Which runs.
#[derive(Debug, Clone)]
pub struct TimesFilter {
    /// Of this project.
    pub project: ProjectId,
    /// Only this pipeline.
    pub pipeline: Option<String>,
    /// Only this branch.
    pub branch: Option<String>,
    /// Whether requests count: a fork may call its branch as it likes.
    pub with_requests: bool,
    /// The metric that says what a run has cost.
    pub cost_metric: String,
    /// At most this many of each span, the newest.
    pub limit: u32,
}

/// When a run came, began and ended, and what it cost.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct RunTimesRow {
    /// Its id.
    pub id: RunId,
    /// Counts the runs.
    pub number: i64,
    /// Its pipeline.
    pub pipeline: String,
    /// Its branch.
    pub branch: String,
    /// Where it stands.
    pub status: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its stages could start, the first time.
    pub first_started_at: Option<Timestamp>,
    /// When its stages could start, the last time.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What it has cost, if something was published.
    pub cost: Option<f64>,
}

impl Store {
    /// Runs whose ids lie in the spans (from, and before), newest first.
    pub async fn list_run_times(
        &self,
        filter: &TimesFilter,
        spans: &[(RunId, RunId)],
    ) -> Result<Vec<RunTimesRow>, StoreError> {
        if spans.is_empty() {
            return Ok(Vec::new());
        }
        Ok(with_db!(self, db => {
            let mut sql = QueryBuilder::new(
                "SELECT id, number, pipeline, branch, status, created_at, first_started_at,
                    started_at, finished_at,
                    (SELECT sum(value) FROM metrics WHERE run = newest.id AND name = ",
            );
            sql.push_bind(&filter.cost_metric).push(") AS cost FROM (");
            for (place, (from, before)) in spans.iter().enumerate() {
                sql.push(if place == 0 { "" } else { " UNION ALL " });
                sql.push("SELECT * FROM (SELECT * FROM runs WHERE project = ");
                sql.push_bind(&filter.project);
                for (column, value) in [("pipeline", &filter.pipeline), ("branch", &filter.branch)]
                {
                    if let Some(value) = value {
                        sql.push(format!(" AND {column} = ")).push_bind(value);
                    }
                }
                if !filter.with_requests {
                    sql.push(" AND event <> 'pull_request'");
                }
                sql.push(" AND id >= ").push_bind(from);
                sql.push(" AND id < ").push_bind(before);
                sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(filter.limit));
                sql.push(format!(") AS p{place}"));
            }
            sql.push(") AS newest ORDER BY id DESC");
            sql.build_query_as().fetch_all(db).await?
        }))
    }
}

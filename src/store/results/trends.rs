//! Tests and gates over time. Each query reads a bounded number of the newest rows by an index that begins
//! with the project.

use sqlx::QueryBuilder;

use crate::model::{ProjectId, RunId, Timestamp};
use crate::store::{Store, StoreError, in_transaction, with_db};

/// Rows that one look back reads at most: the newest.
pub const ROWS_MAX: i32 = 20_000;
/// Rows of one INSERT.
const CHUNK: usize = 500;

/// What came of one case on one day.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct CaseDayRow {
    /// Key of the stage.
    pub stage_key: String,
    /// Stands for suite and name.
    pub case_id: String,
    /// Days since 1970-01-01 UTC.
    pub day: i64,
    /// Its suite, or empty.
    pub suite: String,
    /// Its name.
    pub name: String,
    /// How often it failed.
    pub failed: i64,
    /// How often it was flaky: failures that count as such, and those that the test program tried again.
    pub flaky: i64,
    /// When that was last.
    pub last_at: Timestamp,
    /// The newest run with it.
    pub last_run: RunId,
}

/// The attempts with tests on one day.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TestDayRow {
    /// Days since 1970-01-01 UTC.
    pub day: i64,
    /// How many there were.
    pub attempts: i64,
    /// How many of them had cases that failed.
    pub failed: i64,
}

/// A gate as it was judged.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct GateRow {
    /// Which run.
    pub run: RunId,
    /// Key of the stage.
    pub stage_key: String,
    /// Name of the metric.
    pub metric: String,
    /// The comparison as written.
    pub comparison: String,
    /// The value; none when nothing published it.
    pub value: Option<f64>,
    /// What `baseline` stood for.
    pub baseline: Option<f64>,
    /// Whether it was passed.
    pub passed: bool,
}

impl Store {
    /// Cases that failed or were flaky since a moment, by day.
    pub async fn list_case_days(
        &self,
        project: &ProjectId,
        since: Timestamp,
    ) -> Result<Vec<CaseDayRow>, StoreError> {
        const SQL: &str = "
            SELECT stage_key, case_id, at / 86400000 AS day, max(suite) AS suite, max(name) AS name,
                CAST(sum(CASE WHEN outcome = 'flaky' THEN 0 ELSE 1 END) AS BIGINT) AS failed,
                CAST(sum(CASE WHEN is_flaky THEN 1 ELSE 0 END) AS BIGINT) AS flaky,
                max(at) AS last_at, max(run) AS last_run
            FROM (
                SELECT * FROM test_cases WHERE project = $1 AND at >= $2 AND outcome <> 'passed'
                ORDER BY at DESC LIMIT $3
            ) AS newest
            GROUP BY stage_key, case_id, at / 86400000 ORDER BY day, stage_key, case_id";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL)
                .bind(project)
                .bind(since)
                .bind(i64::from(ROWS_MAX))
                .fetch_all(db)
                .await?
        }))
    }

    /// Attempts with tests since a moment, by day.
    pub async fn list_test_days(
        &self,
        project: &ProjectId,
        since: Timestamp,
    ) -> Result<Vec<TestDayRow>, StoreError> {
        const SQL: &str = "
            SELECT at / 86400000 AS day, count(*) AS attempts,
                CAST(sum(CASE WHEN failed > 0 THEN 1 ELSE 0 END) AS BIGINT) AS failed
            FROM (
                SELECT at, failed FROM attempt_reports
                WHERE project = $1 AND at >= $2 AND executed <> ''
                ORDER BY at DESC LIMIT $3
            ) AS newest
            GROUP BY at / 86400000 ORDER BY day";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL)
                .bind(project)
                .bind(since)
                .bind(i64::from(ROWS_MAX))
                .fetch_all(db)
                .await?
        }))
    }

    /// Writes down how the gates of a stage were judged, in place of an earlier attempt's.
    pub async fn save_gates(
        &self,
        run: &RunId,
        stage_key: &str,
        gates: &[GateRow],
    ) -> Result<(), StoreError> {
        const CLEAR: &str = "DELETE FROM gate_results WHERE run = $1 AND stage_key = $2";
        const SQL: &str = "
            INSERT INTO gate_results
                (run, stage_key, metric, comparison, value, baseline, passed) ";
        let finite = |it: Option<f64>| it.filter(|it| it.is_finite());
        in_transaction!(self, tx => {
            sqlx::query(CLEAR).bind(run).bind(stage_key).execute(&mut *tx).await?;
            for chunk in gates.chunks(CHUNK) {
                QueryBuilder::new(SQL)
                    .push_values(chunk, |mut values, gate| {
                        values
                            .push_bind(run)
                            .push_bind(stage_key)
                            .push_bind(&gate.metric)
                            .push_bind(&gate.comparison)
                            .push_bind(finite(gate.value))
                            .push_bind(finite(gate.baseline))
                            .push_bind(gate.passed);
                    })
                    .build()
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// How the gates of these runs were judged.
    pub async fn list_gates(&self, runs: &[RunId]) -> Result<Vec<GateRow>, StoreError> {
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        Ok(with_db!(self, db => {
            let mut sql = QueryBuilder::new("SELECT * FROM gate_results WHERE run IN (");
            let mut ids = sql.separated(", ");
            for run in runs {
                ids.push_bind(run);
            }
            sql.push(") ORDER BY stage_key, metric, run");
            sql.build_query_as().fetch_all(db).await?
        }))
    }

    /// Values of metrics of these runs: run, key of the stage, name, value.
    pub async fn list_metrics(
        &self,
        runs: &[RunId],
        names: &[String],
    ) -> Result<Vec<(RunId, String, String, f64)>, StoreError> {
        if runs.is_empty() || names.is_empty() {
            return Ok(Vec::new());
        }
        Ok(with_db!(self, db => {
            let mut sql =
                QueryBuilder::new("SELECT run, stage_key, name, value FROM metrics WHERE run IN (");
            let mut ids = sql.separated(", ");
            for run in runs {
                ids.push_bind(run);
            }
            sql.push(") AND name IN (");
            let mut words = sql.separated(", ");
            for name in names {
                words.push_bind(name);
            }
            sql.push(") ORDER BY run, stage_key, name");
            sql.build_query_as().fetch_all(db).await?
        }))
    }
}

//! The tables `stage_results` (green attempts by the digest of their inputs) and `metrics` (values by
//! run and stage, for baselines and trends).

use std::collections::BTreeMap;

pub mod reports;
pub mod trends;

use super::artifacts::attempt_name;
use super::events::drop_missing_numbers;
use super::runs::green::green;
use super::{Store, StoreError, in_transaction, read_json, with_db, with_writer};
use crate::engine::AttemptOutcome;
use crate::model::{AttemptName, Digest, RunId, Timestamp};

/// Rows that one DELETE removes: others come in between.
const DELETED_AT_ONCE: i32 = 500;

impl Store {
    /// Remembers a green attempt by the digest of its inputs. Its blobs are kept for as long.
    pub async fn insert_result(
        &self,
        inputs: &Digest,
        attempt: &AttemptName,
        outcome: &AttemptOutcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO stage_results (run, stage, attempt, inputs, outcome, created_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (run, stage, attempt) DO NOTHING";
        const BLOB: &str = "
            INSERT INTO stage_result_blobs (run, stage, attempt, digest)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (run, stage, attempt, digest) DO NOTHING";
        let (stage, number) = (i64::from(attempt.stage.0), i64::from(attempt.attempt));
        let outcome_json = write_outcome(attempt, outcome)?;
        in_transaction!(self, tx => {
            sqlx::query(SQL)
                .bind(&attempt.run)
                .bind(stage)
                .bind(number)
                .bind(inputs)
                .bind(&outcome_json)
                .bind(now)
                .execute(&mut *tx)
                .await?;
            for artifact in &outcome.artifacts {
                sqlx::query(BLOB)
                    .bind(&attempt.run)
                    .bind(stage)
                    .bind(number)
                    .bind(&artifact.digest)
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// The newest green attempt with these inputs.
    pub async fn find_result(
        &self,
        inputs: &Digest,
    ) -> Result<Option<(AttemptName, AttemptOutcome)>, StoreError> {
        const SQL: &str = "
            SELECT run, stage, attempt, outcome FROM stage_results WHERE inputs = $1
            ORDER BY created_at DESC, run DESC, stage DESC, attempt DESC LIMIT 1";
        let row: Option<(RunId, i64, i64, String)> =
            with_db!(self, db => sqlx::query_as(SQL).bind(inputs).fetch_optional(db).await?);
        let Some((run, stage, attempt, outcome)) = row else {
            return Ok(None);
        };
        let attempt = attempt_name(run, stage, attempt);
        let outcome = read_json(|| format!("result of attempt {attempt}"), &outcome)?;
        Ok(Some((attempt, outcome)))
    }

    /// Removes results older than `before`; gives how many.
    pub async fn delete_old_results(&self, before: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM stage_results WHERE (run, stage, attempt) IN
                (SELECT run, stage, attempt FROM stage_results WHERE created_at < $1 LIMIT $2)";
        let mut deleted = 0;
        loop {
            let some = with_writer!(self, db => {
                sqlx::query(SQL).bind(before).bind(DELETED_AT_ONCE).execute(db).await?
                    .rows_affected()
            });
            deleted += some;
            if some < u64::from(DELETED_AT_ONCE.unsigned_abs()) {
                return Ok(deleted);
            }
        }
    }

    /// Writes the metrics of a finished stage down, in place of those of an earlier attempt. What
    /// is not a number is left out.
    pub async fn save_metrics(
        &self,
        run: &RunId,
        stage_key: &str,
        metrics: &BTreeMap<String, f64>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const CLEAR: &str = "DELETE FROM metrics WHERE run = $1 AND stage_key = $2";
        const SQL: &str = "
            INSERT INTO metrics (run, stage_key, name, value, measured_at)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (run, stage_key, name) DO UPDATE
            SET value = excluded.value, measured_at = excluded.measured_at";
        in_transaction!(self, tx => {
            sqlx::query(CLEAR).bind(run).bind(stage_key).execute(&mut *tx).await?;
            for (name, value) in metrics.iter().filter(|(_, value)| value.is_finite()) {
                sqlx::query(SQL)
                    .bind(run)
                    .bind(stage_key)
                    .bind(name)
                    .bind(value)
                    .bind(now)
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// Metrics by stage key of the newest green run of this pipeline, repository and branch that has some.
    pub async fn find_baselines(
        &self,
        repository: &str,
        pipeline: &str,
        branch: &str,
    ) -> Result<BTreeMap<String, BTreeMap<String, f64>>, StoreError> {
        const SQL: &str = concat!(
            "SELECT stage_key, name, value FROM metrics WHERE run =
                (SELECT id FROM runs
                 WHERE repository = $1 AND pipeline = $2 AND branch = $3
                   AND EXISTS (SELECT 1 FROM metrics AS own WHERE own.run = runs.id) AND",
            green!("runs"),
            "ORDER BY id DESC LIMIT 1)"
        );
        let rows: Vec<(String, String, f64)> = with_db!(self, db => {
            sqlx::query_as(SQL).bind(repository).bind(pipeline).bind(branch).fetch_all(db).await?
        });
        let mut baselines: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
        for (stage_key, name, value) in rows {
            baselines.entry(stage_key).or_default().insert(name, value);
        }
        Ok(baselines)
    }
}

fn write_outcome(attempt: &AttemptName, outcome: &AttemptOutcome) -> Result<String, StoreError> {
    let mut json = serde_json::to_value(outcome).map_err(|source| StoreError::Unreadable {
        what: format!("result of attempt {attempt}"),
        source,
    })?;
    drop_missing_numbers(&mut json);
    Ok(json.to_string())
}

//! The table `artifacts`: who refers to which blob, and until when.

use sqlx::QueryBuilder;

use crate::model::{AttemptName, Digest, RunId, StageIndex, Timestamp};
use crate::store::{Store, StoreError, in_transaction, with_db, with_writer};

/// One row of `artifacts`.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactRow {
    /// The attempt that made it.
    pub attempt: AttemptName,
    /// Key of the stage.
    pub stage_key: String,
    /// The declared path or glob.
    pub path: String,
    /// Content.
    pub digest: Digest,
    /// Size of the archive.
    pub size_bytes: i64,
    /// Files in it.
    pub files: i64,
    /// When it may be removed; not while its run is unfinished.
    pub expires_at: Timestamp,
}

/// Rows that one DELETE removes: others come in between.
const DELETED_AT_ONCE: i32 = 500;
/// Rows of one INSERT; keeps its parameters below the limits of both databases.
const CHUNK: usize = 1000;

/// An artifact as the table has it.
#[derive(sqlx::FromRow)]
struct Record {
    run: RunId,
    stage: i64,
    attempt: i64,
    path: String,
    stage_key: String,
    digest: Digest,
    size_bytes: i64,
    files: i64,
    expires_at: Timestamp,
}

impl From<Record> for ArtifactRow {
    fn from(record: Record) -> Self {
        Self {
            attempt: attempt_name(record.run, record.stage, record.attempt),
            stage_key: record.stage_key,
            path: record.path,
            digest: record.digest,
            size_bytes: record.size_bytes,
            files: record.files,
            expires_at: record.expires_at,
        }
    }
}

impl Store {
    /// Adds rows; one that is there already is left as it is. A run that reuses a result needs rows
    /// of its own, or the blobs go with the run that made them.
    pub async fn insert_artifacts(&self, rows: &[ArtifactRow]) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO artifacts
                (run, stage, attempt, path, stage_key, digest, size_bytes, files, expires_at) ";
        if rows.is_empty() {
            return Ok(());
        }
        in_transaction!(self, tx => {
            for chunk in rows.chunks(CHUNK) {
                QueryBuilder::new(SQL)
                    .push_values(chunk, |mut values, row| {
                        values
                            .push_bind(&row.attempt.run)
                            .push_bind(i64::from(row.attempt.stage.0))
                            .push_bind(i64::from(row.attempt.attempt))
                            .push_bind(&row.path)
                            .push_bind(&row.stage_key)
                            .push_bind(&row.digest)
                            .push_bind(row.size_bytes)
                            .push_bind(row.files)
                            .push_bind(row.expires_at);
                    })
                    .push(" ON CONFLICT (run, stage, attempt, path) DO NOTHING")
                    .build()
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// Artifacts of a run, by stage and path.
    pub async fn list_artifacts(&self, run: &RunId) -> Result<Vec<ArtifactRow>, StoreError> {
        const SQL: &str = "SELECT * FROM artifacts WHERE run = $1 ORDER BY stage, path, attempt";
        let records: Vec<Record> =
            with_db!(self, db => sqlx::query_as(SQL).bind(run).fetch_all(db).await?);
        Ok(records.into_iter().map(ArtifactRow::from).collect())
    }

    /// Removes rows whose time is over and whose run has finished; gives how many.
    pub async fn delete_expired_artifacts(&self, now: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM artifacts WHERE (run, stage, attempt, path) IN
                (SELECT run, stage, attempt, path FROM artifacts AS old
                 WHERE expires_at <= $1 AND EXISTS
                    (SELECT 1 FROM runs
                     WHERE id = old.run AND status IN ('passed', 'failed', 'cancelled'))
                 LIMIT $2)";
        let mut deleted = 0;
        loop {
            let some = with_writer!(self, db => {
                sqlx::query(SQL).bind(now).bind(DELETED_AT_ONCE).execute(db).await?.rows_affected()
            });
            deleted += some;
            if some < u64::from(DELETED_AT_ONCE.unsigned_abs()) {
                return Ok(deleted);
            }
        }
    }

    /// Every digest that an artifact, a cache entry or a reusable result refers to, each once.
    pub async fn list_referenced_blobs(&self) -> Result<Vec<Digest>, StoreError> {
        const SQL: &str = "
            SELECT digest FROM artifacts
            UNION SELECT digest FROM caches
            UNION SELECT digest FROM stage_result_blobs";
        Ok(with_db!(self, db => sqlx::query_scalar(SQL).fetch_all(db).await?))
    }
}

/// The name that three columns hold; they were written from one, so the numbers fit.
pub(in crate::store) fn attempt_name(run: RunId, stage: i64, attempt: i64) -> AttemptName {
    AttemptName {
        run,
        stage: StageIndex(u32::try_from(stage).unwrap_or(u32::MAX)),
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
    }
}

//! Whether the database answers, and what waits in it.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use crate::metrics::Stock;
use crate::model::{RunStatus, Timestamp};
use crate::store::{Pool, Store, StoreError, with_db};

impl Store {
    /// Migrations that the database has.
    pub async fn count_migrations(&self) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT count(*) FROM _sqlx_migrations WHERE success";
        Ok(with_db!(self, db => sqlx::query_scalar(SQL).fetch_one(db).await?))
    }

    /// Writes the SQLite database, as it is at one moment, to a new file; others go on writing. Nothing for
    /// Postgres.
    pub async fn snapshot_into(&self, file: &Path) -> Result<(), StoreError> {
        let Pool::Sqlite { readers, .. } = &self.pool else { return Ok(()) };
        // Not by a reader, which may write nothing, and not by the writer, which others wait for.
        let options = (*readers.connect_options()).clone().pragma("query_only", "off");
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let file = file.display().to_string();
        sqlx::query("VACUUM INTO $1").bind(file).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// What SQLite finds wrong with its file. Nothing for Postgres.
    pub async fn check_integrity(&self) -> Result<Vec<String>, StoreError> {
        let Pool::Sqlite { readers, .. } = &self.pool else { return Ok(Vec::new()) };
        let found: Vec<String> =
            sqlx::query_scalar("PRAGMA integrity_check").fetch_all(readers).await?;
        Ok(found.into_iter().filter(|it| it != "ok").collect())
    }

    /// Whether the database answers, with at least the schema of this version: while servers are replaced one
    /// after the other, an old one goes on with the schema of the next.
    pub async fn check_ready(&self) -> Result<(), StoreError> {
        let applied = self.count_migrations().await?;
        let known = i64::try_from(crate::store::connection::migrations()).unwrap_or(i64::MAX);
        if applied < known { Err(StoreError::OlderSchema { applied, known }) } else { Ok(()) }
    }

    /// What waits in the database.
    pub async fn take_stock(&self, now: Timestamp) -> Result<Stock, StoreError> {
        const RUNS: &str = "
            SELECT status, count(*) FROM runs
            WHERE status IN ('queued', 'running', 'waiting', 'cancelling') GROUP BY status";
        const OLDEST: &str = "SELECT min(created_at) FROM runs WHERE status = 'queued'";
        const DELIVERIES: &str = "SELECT count(*) FROM deliveries WHERE status = 'received'";
        const STATUSES: &str = "SELECT count(*) FROM commit_statuses WHERE posted < version";
        let runs: Vec<(String, i64)> =
            with_db!(self, db => sqlx::query_as(RUNS).fetch_all(db).await?);
        let oldest: Option<Timestamp> =
            with_db!(self, db => sqlx::query_scalar(OLDEST).fetch_one(db).await?);
        let state = |(word, count): (String, i64)| {
            let state = if word == "queued" { "queued" } else { "running" };
            (state, count)
        };
        let known = |(word, count): (String, i64)| Some((RunStatus::parse(&word)?.as_str(), count));
        Ok(Stock {
            runs: runs.into_iter().filter_map(known).collect(),
            oldest_queued_milliseconds: oldest.map_or(0, |it| now.0.saturating_sub(it.0).max(0)),
            deliveries: with_db!(self, db => sqlx::query_scalar(DELIVERIES).fetch_one(db).await?),
            statuses: with_db!(self, db => sqlx::query_scalar(STATUSES).fetch_one(db).await?),
            queue_items: self.count_queue_items().await?.into_iter().map(state).collect(),
        })
    }
}

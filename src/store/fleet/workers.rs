//! The table `workers`: processes that drive runs, seen by their heartbeats.

use std::collections::BTreeMap;

use sqlx::FromRow;

use crate::model::{Milliseconds, Timestamp};
use crate::store::{Store, StoreError, in_transaction, read_json, with_db, with_writer};

/// A process that has given no sign for so long may be dead.
pub const SILENT_AFTER: Milliseconds = Milliseconds::from_seconds(30);
/// One that has given none for so long is forgotten.
const FORGOTTEN_AFTER: Milliseconds = Milliseconds::from_seconds(7 * 24 * 3600);

/// One row of `workers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    /// Its name, of which there is one.
    pub name: String,
    /// Its state folder.
    pub instance: String,
    /// New with each start of the process.
    pub session: String,
    /// `server` or `worker`.
    pub kind: String,
    /// What stages may ask for.
    pub labels: BTreeMap<String, String>,
    /// Attempts at the same time.
    pub slots: i64,
    /// Of the program.
    pub version: String,
    /// Attempts under way by team.
    pub running: BTreeMap<String, u32>,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it gave a sign last.
    pub seen_at: Timestamp,
    /// Whether it takes nothing new.
    pub draining: bool,
}

impl WorkerRow {
    /// Whether it gave a sign a moment ago.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.seen_at.plus(SILENT_AFTER) > now
    }
}

#[derive(FromRow)]
struct Record {
    name: String,
    instance: String,
    session: String,
    kind: String,
    labels: String,
    slots: i64,
    version: String,
    running: String,
    started_at: Timestamp,
    seen_at: Timestamp,
    draining: bool,
}

impl TryFrom<Record> for WorkerRow {
    type Error = StoreError;

    fn try_from(record: Record) -> Result<Self, StoreError> {
        let what = || format!("worker {}", record.name);
        Ok(Self {
            labels: read_json(what, &record.labels)?,
            running: read_json(what, &record.running)?,
            name: record.name,
            instance: record.instance,
            session: record.session,
            kind: record.kind,
            slots: record.slots,
            version: record.version,
            started_at: record.started_at,
            seen_at: record.seen_at,
            draining: record.draining,
        })
    }
}

impl Store {
    /// Writes down that a process has begun to work; false when a living one of another state folder has
    /// its name.
    pub async fn register_worker(&self, row: &WorkerRow) -> Result<bool, StoreError> {
        const FORGET: &str = "DELETE FROM workers WHERE seen_at < $1";
        const SAVE: &str = "
            INSERT INTO workers (
                name, instance, session, kind, labels, slots, version, running, started_at, seen_at,
                draining
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, '{}', $8, $8, false)
            ON CONFLICT (name) DO UPDATE SET
                instance = excluded.instance, session = excluded.session, kind = excluded.kind,
                labels = excluded.labels, slots = excluded.slots, version = excluded.version,
                running = excluded.running, started_at = excluded.started_at,
                seen_at = excluded.seen_at, draining = false
            WHERE workers.instance = excluded.instance OR workers.seen_at <= $9";
        let labels = serde_json::json!(row.labels).to_string();
        let before = |span: Milliseconds| {
            Timestamp(row.started_at.0.saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX)))
        };
        let saved = in_transaction!(self, tx => {
            sqlx::query(FORGET).bind(before(FORGOTTEN_AFTER)).execute(&mut *tx).await?;
            sqlx::query(SAVE)
                .bind(&row.name)
                .bind(&row.instance)
                .bind(&row.session)
                .bind(&row.kind)
                .bind(labels)
                .bind(row.slots)
                .bind(&row.version)
                .bind(row.started_at)
                .bind(before(SILENT_AFTER))
                .execute(&mut *tx)
                .await?
                .rows_affected()
        });
        Ok(saved > 0)
    }

    /// A sign of life. Gives whether the process is to take nothing new; `None` when its name is somebody
    /// else's, or forgotten.
    pub async fn beat_worker(
        &self,
        (name, session): (&str, &str),
        running: &BTreeMap<String, u32>,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        const SQL: &str = "
            UPDATE workers SET seen_at = $3, running = $4 WHERE name = $1 AND session = $2
            RETURNING draining";
        let running = serde_json::json!(running).to_string();
        Ok(with_writer!(self, db => {
            sqlx::query_scalar(SQL)
                .bind(name)
                .bind(session)
                .bind(now)
                .bind(running)
                .fetch_optional(db)
                .await?
        }))
    }

    /// A process has ended as it should.
    pub async fn delete_worker(&self, name: &str, session: &str) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM workers WHERE name = $1 AND session = $2";
        with_writer!(self, db => { sqlx::query(SQL).bind(name).bind(session).execute(db).await?; });
        Ok(())
    }

    /// Asks a process to take nothing new, or to take again; false when there is none of this name.
    pub async fn save_draining(&self, name: &str, draining: bool) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE workers SET draining = $2 WHERE name = $1";
        let saved = with_writer!(self, db => {
            sqlx::query(SQL).bind(name).bind(draining).execute(db).await?.rows_affected()
        });
        Ok(saved > 0)
    }

    /// All processes by name, dead ones too.
    pub async fn list_workers(&self) -> Result<Vec<WorkerRow>, StoreError> {
        const SQL: &str = "SELECT * FROM workers ORDER BY name";
        let records: Vec<Record> = with_db!(self, db => sqlx::query_as(SQL).fetch_all(db).await?);
        records.into_iter().map(WorkerRow::try_from).collect()
    }
}

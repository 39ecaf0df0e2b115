//! The table `run_events`: the truth about every run. Rows are added, never changed.

use serde::de::Error as _;
use sqlx::QueryBuilder;

use super::groups::RELEASE_ALL;
use super::{Store, StoreError, in_transaction, read_json, with_db};
use crate::engine::Event;
use crate::model::{RunId, RunStatus, Timestamp};
use crate::store::audit::{AuditRow, insert_event};

/// The shape in which events are written today.
const VERSION: i64 = 1;
/// Rows of one INSERT; keeps its parameters below the limits of both databases.
const CHUNK: usize = 1000;

/// One stored event.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its place in the run, from 0.
    pub seq: i64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// Events to append, and what follows from them for the row. One transaction.
#[derive(Debug, Clone)]
pub struct Append<'a> {
    /// Which run.
    pub run: &'a RunId,
    /// Sequence number of the first event; must be the number of events stored.
    pub seq: i64,
    /// The events.
    pub events: &'a [Event],
    /// When they happened.
    pub at: Timestamp,
    /// Where the run stands after them.
    pub status: RunStatus,
    /// When it ended, if it has.
    pub finished_at: Option<Timestamp>,
    /// Stages that have failed by then and were not allowed to.
    pub failed_stages: usize,
    /// What the audit log says of them.
    pub notes: &'a [AuditRow],
}

/// An event as the table has it.
struct EventRow {
    seq: i64,
    kind: String,
    body: String,
}

impl Store {
    /// Events of a run from `from_seq` on.
    pub async fn list_events(
        &self,
        id: &RunId,
        from_seq: i64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        const SQL: &str = "
            SELECT seq, version, at, body FROM run_events
            WHERE run = $1 AND seq >= $2 ORDER BY seq";
        let rows: Vec<(i64, i64, Timestamp, String)> = with_db!(self, db => {
            sqlx::query_as(SQL).bind(id).bind(from_seq).fetch_all(db).await?
        });
        read_events(id, rows)
    }

    /// At most `limit` events of a run from `from_seq` on.
    pub async fn list_some_events(
        &self,
        id: &RunId,
        from_seq: i64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        const SQL: &str = "
            SELECT seq, version, at, body FROM run_events
            WHERE run = $1 AND seq >= $2 ORDER BY seq LIMIT $3";
        let limit = i64::from(limit);
        let rows: Vec<(i64, i64, Timestamp, String)> = with_db!(self, db => {
            sqlx::query_as(SQL).bind(id).bind(from_seq).bind(limit).fetch_all(db).await?
        });
        read_events(id, rows)
    }

    /// Appends events; [`StoreError::Conflict`] when somebody else has appended first, or the run
    /// is gone. A run that finishes gives its slots back.
    pub async fn append_events(&self, append: &Append<'_>) -> Result<(), StoreError> {
        // The row is locked by this first, so of two appends the later one sees the new count.
        const SQL: &str = "
            UPDATE runs SET events = events + $3, status = $4, finished_at = $5,
                started_at = COALESCE($6, started_at),
                first_started_at = COALESCE(first_started_at, $6), failed_stages = $7
            WHERE id = $1 AND events = $2";
        let has_started = append.events.iter().any(|it| matches!(it, Event::RunStarted));
        let rows = event_rows(append)?;
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let failed_stages = i64::try_from(append.failed_stages).unwrap_or(i64::MAX);
        in_transaction!(self, tx => {
            let updated = sqlx::query(SQL)
                .bind(append.run)
                .bind(append.seq)
                .bind(count)
                .bind(append.status.as_str())
                .bind(append.finished_at)
                .bind(has_started.then_some(append.at))
                .bind(failed_stages)
                .execute(&mut *tx)
                .await?;
            if updated.rows_affected() == 0 {
                return Err(StoreError::Conflict { what: format!("run {}", append.run) });
            }
            for chunk in rows.chunks(CHUNK) {
                QueryBuilder::new("INSERT INTO run_events (run, seq, type, version, at, body) ")
                    .push_values(chunk, |mut row, event| {
                        row.push_bind(append.run)
                            .push_bind(event.seq)
                            .push_bind(&event.kind)
                            .push_bind(VERSION)
                            .push_bind(append.at)
                            .push_bind(&event.body);
                    })
                    .build()
                    .execute(&mut *tx)
                    .await?;
            }
            for note in append.notes {
                insert_event!(note, &mut *tx);
            }
            if append.status.is_finished() {
                sqlx::query(RELEASE_ALL).bind(append.run).execute(&mut *tx).await?;
            }
        });
        Ok(())
    }
}

fn read_events(
    id: &RunId,
    rows: Vec<(i64, i64, Timestamp, String)>,
) -> Result<Vec<StoredEvent>, StoreError> {
    let read = |(seq, version, at, body): (i64, i64, Timestamp, String)| {
        Ok(StoredEvent { seq, at, event: read_event(id, seq, version, &body)? })
    };
    rows.into_iter().map(read).collect()
}

fn event_rows(append: &Append<'_>) -> Result<Vec<EventRow>, StoreError> {
    let with_seq = (append.seq..).zip(append.events);
    with_seq.map(|(seq, event)| write_event(append.run, seq, event)).collect()
}

fn write_event(run: &RunId, seq: i64, event: &Event) -> Result<EventRow, StoreError> {
    let unreadable = |source| StoreError::Unreadable { what: event_name(run, seq), source };
    let mut body = serde_json::to_value(event).map_err(unreadable)?;
    let kind = body.get("type").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    if let Some(outcome) = body.get_mut("outcome") {
        drop_missing_numbers(outcome);
    }
    Ok(EventRow { seq, kind, body: body.to_string() })
}

/// JSON has no word for NaN and infinity; they are written as null, and a null could never be read
/// back as a number. A metric without a value is no metric.
pub(super) fn drop_missing_numbers(outcome: &mut serde_json::Value) {
    if let Some(metrics) = outcome.get_mut("metrics").and_then(serde_json::Value::as_object_mut) {
        metrics.retain(|_, value| !value.is_null());
    }
}

fn read_event(run: &RunId, seq: i64, version: i64, body: &str) -> Result<Event, StoreError> {
    if version > VERSION {
        let source = serde_json::Error::custom(format!(
            "its version is `{version}`; this program knows versions up to `{VERSION}`"
        ));
        return Err(StoreError::Unreadable { what: event_name(run, seq), source });
    }
    read_json(|| event_name(run, seq), body)
}

fn event_name(run: &RunId, seq: i64) -> String {
    format!("event {seq} of run {run}")
}

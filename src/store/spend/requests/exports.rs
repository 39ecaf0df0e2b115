//! The table `trace_exports`: how far traces of calls were sent to a collector.

use super::traces::TraceRow;
use crate::model::Timestamp;
use crate::store::{Store, StoreError, with_db, with_writer};

/// How far they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct ExportRow {
    /// When the last one was written that was sent,
    pub written_at: Timestamp,
    /// and its id.
    pub id: String,
    /// Until when somebody sends the next.
    pub claimed_until: Timestamp,
}

impl ExportRow {
    /// The same, or a later place: what was written before a moment is left out.
    #[must_use]
    pub fn not_before(&self, moment: Timestamp) -> Self {
        if self.written_at >= moment {
            return self.clone();
        }
        Self { written_at: moment, id: String::new(), claimed_until: self.claimed_until }
    }
}

impl Store {
    /// How far they were sent; `None` when that was never begun.
    pub async fn find_trace_export(&self, name: &str) -> Result<Option<ExportRow>, StoreError> {
        const SQL: &str = "SELECT written_at, id, claimed_until FROM trace_exports WHERE name = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(name).fetch_optional(db).await?))
    }

    /// Takes the sending of traces until a moment, if nobody has it. Sending begins with what was written at
    /// `from`, where it was never begun.
    pub async fn claim_trace_export(
        &self,
        name: &str,
        (now, until): (Timestamp, Timestamp),
        from: Timestamp,
    ) -> Result<Option<ExportRow>, StoreError> {
        const BEGIN: &str = "
            INSERT INTO trace_exports (name, written_at, id, claimed_until) VALUES ($1, $2, '', 0)
            ON CONFLICT (name) DO NOTHING";
        const CLAIM: &str = "
            UPDATE trace_exports SET claimed_until = $3 WHERE name = $1 AND claimed_until <= $2
            RETURNING written_at, id, claimed_until";
        with_writer!(self, db => {
            sqlx::query(BEGIN).bind(name).bind(from).execute(db).await?;
        });
        Ok(with_writer!(self, db => {
            sqlx::query_as(CLAIM).bind(name).bind(now).bind(until).fetch_optional(db).await?
        }))
    }

    /// Traces after those that were sent, written before a moment, in the order of their writing.
    pub async fn list_unsent_traces(
        &self,
        after: &ExportRow,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<TraceRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM traces WHERE (written_at, id) > ($1, $2) AND written_at < $3
            ORDER BY written_at, id LIMIT $4";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL)
                .bind(after.written_at)
                .bind(&after.id)
                .bind(before)
                .bind(i64::from(limit))
                .fetch_all(db)
                .await?
        }))
    }

    /// They were sent up to here; the claim lasts until `until`. Whether it was still held.
    pub async fn save_trace_export(
        &self,
        name: &str,
        held: &ExportRow,
        sent: &ExportRow,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE trace_exports SET written_at = $3, id = $4, claimed_until = $5
            WHERE name = $1 AND claimed_until = $2";
        let saved = with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(name)
                .bind(held.claimed_until)
                .bind(sent.written_at)
                .bind(&sent.id)
                .bind(sent.claimed_until)
                .execute(db)
                .await?
                .rows_affected()
        });
        Ok(saved > 0)
    }
}

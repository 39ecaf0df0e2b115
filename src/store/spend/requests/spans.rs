//! The table `spans`: what apps and stages have told of themselves over OTLP. Whose a row is says the key that it came
//! with; one that is there is never changed by another.

use sqlx::{FromRow, QueryBuilder};

use super::exports::ExportRow;
use super::traces::{
    CHUNK, TraceContentRow, TraceFilter, insert_contents, push_filter, push_teams,
};
use crate::model::Timestamp;
use crate::store::spend::calls::Owner;
use crate::store::{Store, StoreError, in_transaction, with_db};

/// One row of `spans`. Texts are empty where there is nothing to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct SpanRow {
    /// Its name here: the same each time that it comes.
    pub id: String,
    /// The trace that it is part of: 32 hexadecimal digits.
    pub trace: String,
    /// Its own id: 16 hexadecimal digits.
    pub span: String,
    /// The span that it is part of.
    pub parent: String,
    /// When it began.
    pub at: Timestamp,
    /// The same in microseconds.
    pub at_us: i64,
    /// When the row was written.
    pub written_at: Timestamp,
    /// Name of the key that it came with.
    pub key_name: String,
    /// Whose it is.
    #[sqlx(flatten)]
    pub owner: Owner,
    /// The service that has sent it, as it calls itself.
    pub service: String,
    /// What it is called.
    pub name: String,
    /// `internal`, `server`, `client`, `producer` or `consumer`.
    pub kind: String,
    /// What it stands for, such as `tool`.
    pub operation: String,
    /// The provider of a model, or the kind of a database.
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// The status of HTTP.
    pub status: Option<i64>,
    /// What went wrong: one word.
    pub error: String,
    /// Until the end, in microseconds.
    pub total_us: i64,
    /// JSON of a `ReceivedDetail`.
    pub detail: String,
}

const INSERT: &str = "
    INSERT INTO spans (
        id, trace, span, parent, at, at_us, written_at, key_name, organisation, team, project, pipeline, run, stage,
        endpoint, service, name, kind, operation, provider, model, status, error, total_us, detail
    ) ";

macro_rules! insert_spans {
    ($tx:expr, $rows:expr) => {
        for chunk in $rows.chunks(CHUNK) {
            QueryBuilder::new(INSERT)
                .push_values(chunk, |mut row, it| {
                    row.push_bind(&it.id)
                        .push_bind(&it.trace)
                        .push_bind(&it.span)
                        .push_bind(&it.parent)
                        .push_bind(it.at)
                        .push_bind(it.at_us)
                        .push_bind(it.written_at)
                        .push_bind(&it.key_name)
                        .push_bind(&it.owner.organisation)
                        .push_bind(&it.owner.team)
                        .push_bind(&it.owner.project)
                        .push_bind(&it.owner.pipeline)
                        .push_bind(&it.owner.run)
                        .push_bind(&it.owner.stage)
                        .push_bind(&it.owner.endpoint)
                        .push_bind(&it.service)
                        .push_bind(&it.name)
                        .push_bind(&it.kind)
                        .push_bind(&it.operation)
                        .push_bind(&it.provider)
                        .push_bind(&it.model)
                        .push_bind(it.status)
                        .push_bind(&it.error)
                        .push_bind(it.total_us)
                        .push_bind(&it.detail);
                })
                .push(" ON CONFLICT (id) DO NOTHING")
                .build()
                .execute(&mut *$tx)
                .await?;
        }
    };
}

/// The span above one. A value and no `NOT EXISTS`: that Postgres makes a join of all spans, where the newest are enough.
const ABOVE: &str = "
    AND (
        SELECT 1 FROM spans above
        WHERE above.trace = spans.trace AND above.span = spans.parent
            AND above.team = spans.team AND above.project = spans.project
        LIMIT 1
    )";

impl Store {
    /// Writes spans, and what was said in some of them: all or none. One that is there stays as it is.
    pub async fn insert_spans(
        &self,
        rows: &[SpanRow],
        contents: &[TraceContentRow],
    ) -> Result<(), StoreError> {
        in_transaction!(self, tx => {
            insert_spans!(tx, rows);
            insert_contents!(tx, contents);
        });
        Ok(())
    }

    /// A span by its name here.
    pub async fn find_span(&self, id: &str) -> Result<Option<SpanRow>, StoreError> {
        const SQL: &str = "SELECT * FROM spans WHERE id = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(id).fetch_optional(db).await?))
    }

    /// Spans of a trace, oldest first, of these teams; `None` for all.
    pub async fn list_spans(
        &self,
        trace: &str,
        teams: Option<&[String]>,
        limit: u32,
    ) -> Result<Vec<SpanRow>, StoreError> {
        if teams.is_some_and(<[String]>::is_empty) {
            return Ok(Vec::new());
        }
        Ok(with_db!(self, db => {
            let mut sql = QueryBuilder::new("SELECT * FROM spans WHERE trace = ");
            sql.push_bind(trace);
            if let Some(teams) = teams {
                push_teams!(sql, teams);
            }
            sql.push(" ORDER BY at_us, id LIMIT ").push_bind(i64::from(limit));
            sql.build_query_as().fetch_all(db).await?
        }))
    }

    /// The first spans of traces, newest first: those that are below no other of the same owner.
    pub async fn list_first_spans(&self, filter: &TraceFilter) -> Result<Vec<SpanRow>, StoreError> {
        // They cost nothing.
        let is_dear = filter.min_cost.is_some_and(|it| it.0 > 0);
        if filter.teams.as_ref().is_some_and(Vec::is_empty) || is_dear {
            return Ok(Vec::new());
        }
        Ok(with_db!(self, db => {
            let mut sql = QueryBuilder::new("SELECT * FROM spans WHERE ");
            push_filter!(sql, filter);
            sql.push(ABOVE).push(" IS NULL");
            sql.push(" ORDER BY at DESC, id DESC LIMIT ").push_bind(i64::from(filter.limit));
            sql.build_query_as().fetch_all(db).await?
        }))
    }

    /// Spans after those that were sent on, written before a moment, in the order of their writing.
    pub async fn list_unsent_spans(
        &self,
        after: &ExportRow,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<SpanRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM spans WHERE (written_at, id) > ($1, $2) AND written_at < $3
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

    /// Removes at most `limit` spans that were written before a moment, with what was said in them.
    pub async fn delete_spans(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        const CONTENTS: &str = "
            DELETE FROM trace_contents WHERE id IN (
                SELECT id FROM spans WHERE written_at < $1 ORDER BY written_at, id LIMIT $2
            )";
        const SQL: &str = "
            DELETE FROM spans WHERE id IN (
                SELECT id FROM spans WHERE written_at < $1 ORDER BY written_at, id LIMIT $2
            )";
        let limit = i64::from(limit);
        let gone = in_transaction!(self, tx => {
            sqlx::query(CONTENTS).bind(before).bind(limit).execute(&mut *tx).await?;
            sqlx::query(SQL).bind(before).bind(limit).execute(&mut *tx).await?.rows_affected()
        });
        Ok(gone)
    }
}

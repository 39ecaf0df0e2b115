//! The table `traces`: what happened in each call to a model; and `trace_contents`: what was said in it, where
//! that is kept.

use sqlx::{FromRow, QueryBuilder};

use crate::model::{Timestamp, UsdNanos};
use crate::store::spend::calls::Owner;
use crate::store::{Store, StoreError, in_transaction, with_db, with_writer};

/// Rows of one INSERT; keeps its parameters below the limits of both databases.
pub(super) const CHUNK: usize = 200;

/// One row of `traces`. Texts are empty where there is nothing to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct TraceRow {
    /// Id of the client's request.
    pub id: String,
    /// The trace that it is part of: 32 hexadecimal digits.
    pub trace: String,
    /// Its span: 16 hexadecimal digits.
    pub span: String,
    /// The span that it was made in.
    pub parent: String,
    /// When it began.
    pub at: Timestamp,
    /// When the row was written.
    pub written_at: Timestamp,
    /// Name of the key that it came with.
    pub key_name: String,
    /// Whose it was.
    #[sqlx(flatten)]
    pub owner: Owner,
    /// What it was, such as `chat/completions`.
    pub operation: String,
    /// Who served it, or was asked last.
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// The model that answered.
    pub answered_by: String,
    /// `live`, `cache` or `cassette`.
    pub origin: String,
    /// The status that the client got.
    pub status: Option<i64>,
    /// What went wrong: one word.
    pub error: String,
    /// How often it was sent.
    pub attempts: i64,
    /// All tokens of prompts.
    pub input_tokens: i64,
    /// All tokens of answers.
    pub output_tokens: i64,
    /// What it cost.
    pub cost: UsdNanos,
    /// What it would have cost.
    pub avoided: UsdNanos,
    /// Until the first piece of the answer, in microseconds.
    pub first_token_us: Option<i64>,
    /// Until the end, in microseconds.
    pub total_us: i64,
    /// What was not as usual: words.
    pub flags: String,
    /// JSON of a `CallTrail`.
    pub detail: String,
}

/// One row of `trace_contents`.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct TraceContentRow {
    /// Id of the trace.
    pub id: String,
    /// When it was written.
    pub written_at: Timestamp,
    /// `redacted` or `full`.
    pub kept: String,
    /// Whether it was longer than what is kept.
    pub is_cut: bool,
    /// JSON.
    pub content: String,
}

/// Which calls; what is empty or `None` does not count.
#[derive(Debug, Clone, Default)]
pub struct TraceFilter {
    /// Of one of these teams; `None` for all.
    pub teams: Option<Vec<String>>,
    /// Of this trace.
    pub trace: String,
    /// Of this project.
    pub project: String,
    /// Of this pipeline, of whatever project.
    pub pipeline: String,
    /// Of this run.
    pub run: String,
    /// Of this stage.
    pub stage: String,
    /// Of this endpoint.
    pub endpoint: String,
    /// Of this model: the one that was asked for.
    pub model: String,
    /// Of this provider.
    pub provider: String,
    /// How they ended.
    pub ended: Ended,
    /// Not shorter than so many microseconds.
    pub min_us: Option<i64>,
    /// Not cheaper than this.
    pub min_cost: Option<UsdNanos>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Before this row, by moment and id.
    pub before: Option<(Timestamp, String)>,
    /// Rows at most.
    pub limit: u32,
}

/// How calls ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ended {
    /// In whatever way.
    #[default]
    Anyhow,
    /// Well.
    Well,
    /// Badly.
    Badly,
    /// With this status for the client.
    Status(i64),
    /// With this word for what went wrong.
    With(String),
}

const INSERT: &str = "
    INSERT INTO traces (
        id, trace, span, parent, at, written_at, key_name, organisation, team, project, pipeline, run,
        stage, endpoint, operation, provider, model, answered_by, origin, status, error, attempts,
        input_tokens, output_tokens, cost, avoided, first_token_us, total_us, flags, detail
    ) ";

macro_rules! insert_traces {
    ($tx:expr, $rows:expr) => {
        for chunk in $rows.chunks(CHUNK) {
            QueryBuilder::new(INSERT)
                .push_values(chunk, |mut row, it| {
                    row.push_bind(&it.id)
                        .push_bind(&it.trace)
                        .push_bind(&it.span)
                        .push_bind(&it.parent)
                        .push_bind(it.at)
                        .push_bind(it.written_at)
                        .push_bind(&it.key_name)
                        .push_bind(&it.owner.organisation)
                        .push_bind(&it.owner.team)
                        .push_bind(&it.owner.project)
                        .push_bind(&it.owner.pipeline)
                        .push_bind(&it.owner.run)
                        .push_bind(&it.owner.stage)
                        .push_bind(&it.owner.endpoint)
                        .push_bind(&it.operation)
                        .push_bind(&it.provider)
                        .push_bind(&it.model)
                        .push_bind(&it.answered_by)
                        .push_bind(&it.origin)
                        .push_bind(it.status)
                        .push_bind(&it.error)
                        .push_bind(it.attempts)
                        .push_bind(it.input_tokens)
                        .push_bind(it.output_tokens)
                        .push_bind(it.cost)
                        .push_bind(it.avoided)
                        .push_bind(it.first_token_us)
                        .push_bind(it.total_us)
                        .push_bind(&it.flags)
                        .push_bind(&it.detail);
                })
                .push(" ON CONFLICT (id) DO NOTHING")
                .build()
                .execute(&mut *$tx)
                .await?;
        }
    };
}

macro_rules! insert_contents {
    ($tx:expr, $rows:expr) => {
        for chunk in $rows.chunks(CHUNK) {
            QueryBuilder::new(
                "INSERT INTO trace_contents (id, written_at, kept, is_cut, content) ",
            )
            .push_values(chunk, |mut row, it| {
                row.push_bind(&it.id)
                    .push_bind(it.written_at)
                    .push_bind(&it.kept)
                    .push_bind(it.is_cut)
                    .push_bind(&it.content);
            })
            .push(" ON CONFLICT (id) DO NOTHING")
            .build()
            .execute(&mut *$tx)
            .await?;
        }
    };
}
pub(super) use insert_contents;

/// Adds the conditions that rows of calls and of spans have in common. A macro, as the type of the builder differs by
/// database.
macro_rules! push_filter {
    ($sql:ident, $filter:ident) => {
        use $crate::store::spend::requests::traces::Ended;
        $sql.push("at >= ").push_bind($filter.since.unwrap_or(Timestamp(i64::MIN)));
        $sql.push(" AND at < ").push_bind($filter.until.unwrap_or(Timestamp(i64::MAX)));
        let columns = [
            (" AND trace = ", &$filter.trace),
            (" AND project = ", &$filter.project),
            (" AND pipeline = ", &$filter.pipeline),
            // So that the index is used, which has only these.
            (" AND run <> '' AND run = ", &$filter.run),
            (" AND stage = ", &$filter.stage),
            (" AND endpoint = ", &$filter.endpoint),
            (" AND model = ", &$filter.model),
            (" AND provider = ", &$filter.provider),
        ];
        for (column, value) in columns.into_iter().filter(|it| !it.1.is_empty()) {
            $sql.push(column).push_bind(value);
        }
        match &$filter.ended {
            Ended::Anyhow => &mut $sql,
            Ended::Well => $sql.push(" AND error = ''"),
            Ended::Badly => $sql.push(" AND error <> ''"),
            Ended::Status(status) => $sql.push(" AND status = ").push_bind(*status),
            Ended::With(error) => $sql.push(" AND error = ").push_bind(error),
        };
        if let Some(least) = $filter.min_us {
            $sql.push(" AND total_us >= ").push_bind(least);
        }
        if let Some((at, id)) = &$filter.before {
            $sql.push(" AND (at, id) < (").push_bind(*at).push(", ").push_bind(id).push(")");
        }
        if let Some(teams) = &$filter.teams {
            $crate::store::spend::requests::traces::push_teams!($sql, teams);
        }
    };
}
pub(super) use push_filter;

/// Adds that rows are of one of these teams.
macro_rules! push_teams {
    ($sql:ident, $teams:ident) => {
        $sql.push(" AND team IN (");
        let mut list = $sql.separated(", ");
        for team in $teams {
            list.push_bind(team);
        }
        $sql.push(")");
    };
}
pub(super) use push_teams;

impl Store {
    /// Writes traces, and what was said in some of them: all or none. One that is there stays as it is.
    pub async fn insert_traces(
        &self,
        rows: &[TraceRow],
        contents: &[TraceContentRow],
    ) -> Result<(), StoreError> {
        in_transaction!(self, tx => {
            insert_traces!(tx, rows);
            insert_contents!(tx, contents);
        });
        Ok(())
    }

    /// The trace of a request.
    pub async fn find_trace(&self, id: &str) -> Result<Option<TraceRow>, StoreError> {
        const SQL: &str = "SELECT * FROM traces WHERE id = $1";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(id).fetch_optional(db).await?))
    }

    /// What was said in calls, where it is kept, by their ids.
    pub async fn list_trace_contents(
        &self,
        ids: &[String],
    ) -> Result<Vec<TraceContentRow>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(with_db!(self, db => {
            let mut sql = QueryBuilder::new("SELECT * FROM trace_contents WHERE id IN (");
            let mut list = sql.separated(", ");
            for id in ids {
                list.push_bind(id);
            }
            sql.push(") ORDER BY id");
            sql.build_query_as().fetch_all(db).await?
        }))
    }

    /// Calls, newest first.
    pub async fn list_traces(&self, filter: &TraceFilter) -> Result<Vec<TraceRow>, StoreError> {
        if filter.teams.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        Ok(with_db!(self, db => {
            let mut sql = QueryBuilder::new("SELECT * FROM traces WHERE ");
            push_filter!(sql, filter);
            if let Some(least) = filter.min_cost {
                sql.push(" AND cost >= ").push_bind(least);
            }
            sql.push(" ORDER BY at DESC, id DESC LIMIT ").push_bind(i64::from(filter.limit));
            sql.build_query_as().fetch_all(db).await?
        }))
    }

    /// Removes at most `limit` traces that were written before a moment, with what was said in them.
    pub async fn delete_traces(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        const CONTENTS: &str = "
            DELETE FROM trace_contents WHERE id IN (
                SELECT id FROM traces WHERE written_at < $1 ORDER BY written_at, id LIMIT $2
            )";
        const SQL: &str = "
            DELETE FROM traces WHERE id IN (
                SELECT id FROM traces WHERE written_at < $1 ORDER BY written_at, id LIMIT $2
            )";
        let limit = i64::from(limit);
        let gone = in_transaction!(self, tx => {
            sqlx::query(CONTENTS).bind(before).bind(limit).execute(&mut *tx).await?;
            sqlx::query(SQL).bind(before).bind(limit).execute(&mut *tx).await?.rows_affected()
        });
        Ok(gone)
    }

    /// Removes what was said in at most `limit` calls whose traces were written before a moment.
    pub async fn delete_trace_contents(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM trace_contents WHERE id IN (
                SELECT id FROM trace_contents WHERE written_at < $1 ORDER BY written_at, id LIMIT $2
            )";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(before).bind(i64::from(limit)).execute(db).await?.rows_affected()
        }))
    }
}

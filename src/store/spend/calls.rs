//! The table `model_calls`: the ledger, a row for each attempt of a call.

use sqlx::{FromRow, QueryBuilder};

use super::sums::{SpendFilter, push_filter};
use crate::model::{RunId, Timestamp, UsdNanos};
use crate::store::{Store, StoreError, in_transaction, with_db};

/// The `operation` of what was not called through the gateway, and is reported by an app. No call.
pub const OF_REPORTS: &str = "usage";
/// Rows of one INSERT; keeps its parameters below the limits of both databases.
pub(super) const CHUNK: usize = 200;

/// One row of `model_calls`. Texts are empty where there is nothing to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct CallRow {
    /// Id of the client's request.
    pub request: String,
    /// The attempt, from 1; 0 for what a dead process may have spent.
    pub attempt: i64,
    /// When it began.
    pub at: Timestamp,
    /// The process that made it.
    pub spender: String,
    /// Name of the key that it came with.
    pub key_name: String,
    /// Whose it was.
    #[sqlx(flatten)]
    pub owner: Owner,
    /// What it was.
    pub operation: String,
    /// Who served it.
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// The model that answered.
    pub answered_by: String,
    /// `live`, `cache` or `cassette`.
    pub origin: String,
    /// The status of the answer.
    pub status: Option<i64>,
    /// What it used: JSON, counts by class.
    pub usage: String,
    /// All tokens of the prompt.
    pub input_tokens: i64,
    /// All tokens of the answer.
    pub output_tokens: i64,
    /// Those of the prompt that the provider had cached.
    pub cache_read_tokens: i64,
    /// Tokens that budgets count.
    pub tokens: i64,
    /// What it cost.
    pub cost: UsdNanos,
    /// What it would have cost, had it gone out.
    pub avoided: UsdNanos,
    /// What was reserved.
    pub reserved: UsdNanos,
    /// What it cost beyond that.
    pub overrun: UsdNanos,
    /// Id of the price that was taken.
    pub price: String,
    /// Its first day.
    pub price_from: String,
    /// What was not as usual: words.
    pub flags: String,
    /// Until the first piece of the answer.
    pub first_token_ms: Option<i64>,
    /// Until the end.
    pub total_ms: i64,
    /// What the app tells it apart by: words, each once.
    pub tags: String,
}

/// Whose a call was.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct Owner {
    /// The installation, or a customer of it.
    pub organisation: String,
    /// Name of the team.
    pub team: String,
    /// The project, as `team/name`.
    pub project: String,
    /// Name of the pipeline.
    pub pipeline: String,
    /// The run.
    pub run: String,
    /// Key of the stage.
    pub stage: String,
    /// Endpoint of a deployed app.
    pub endpoint: String,
}

/// A call that a provider has answered, for what it says of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct AnsweredCall {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub total_ms: i64,
    /// All tokens of the prompt.
    pub input_tokens: i64,
    /// All tokens of the answer.
    pub output_tokens: i64,
    /// What it cost.
    pub cost: UsdNanos,
}

pub(super) const INSERT: &str = "
    INSERT INTO model_calls (
        request, attempt, at, spender, key_name, organisation, team, project, pipeline, run, stage,
        endpoint, operation, provider, model, answered_by, origin, status, usage, input_tokens,
        output_tokens, cache_read_tokens, tokens, cost, avoided, reserved, overrun, price, price_from,
        flags, first_token_ms, total_ms, tags
    ) ";
pub(super) const INSERT_TAGS: &str = "INSERT INTO call_tags (request, attempt, tag, at) ";
/// Rows of one INSERT of tags.
pub(super) const TAGS_CHUNK: usize = 1_000;
const ANSWERED: &str = "SELECT at, total_ms, input_tokens, output_tokens, cost FROM model_calls";
pub(super) const REPLACE: &str = "
    ON CONFLICT (request, attempt) DO UPDATE SET
        answered_by = excluded.answered_by, origin = excluded.origin, status = excluded.status,
        usage = excluded.usage, input_tokens = excluded.input_tokens,
        output_tokens = excluded.output_tokens, cache_read_tokens = excluded.cache_read_tokens,
        tokens = excluded.tokens, cost = excluded.cost, avoided = excluded.avoided,
        overrun = excluded.overrun, price = excluded.price, price_from = excluded.price_from,
        flags = excluded.flags, first_token_ms = excluded.first_token_ms,
        total_ms = excluded.total_ms";

/// Inserts or replaces rows, of which no two are of one call.
macro_rules! insert_calls {
    ($tx:expr, $rows:expr) => {{
        use $crate::store::spend::calls as own;
        let rows: &[own::CallRow] = $rows;
        for chunk in rows.chunks(own::CHUNK) {
            sqlx::QueryBuilder::new(own::INSERT)
                .push_values(chunk, |mut row, it| {
                    row.push_bind(&it.request)
                        .push_bind(it.attempt)
                        .push_bind(it.at)
                        .push_bind(&it.spender)
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
                        .push_bind(&it.usage)
                        .push_bind(it.input_tokens)
                        .push_bind(it.output_tokens)
                        .push_bind(it.cache_read_tokens)
                        .push_bind(it.tokens)
                        .push_bind(it.cost)
                        .push_bind(it.avoided)
                        .push_bind(it.reserved)
                        .push_bind(it.overrun)
                        .push_bind(&it.price)
                        .push_bind(&it.price_from)
                        .push_bind(&it.flags)
                        .push_bind(it.first_token_ms)
                        .push_bind(it.total_ms)
                        .push_bind(&it.tags);
                })
                .push(own::REPLACE)
                .build()
                .execute(&mut *$tx)
                .await?;
        }
        let tags: Vec<_> = rows
            .iter()
            .flat_map(|it| it.tags.split_whitespace().map(move |tag| (it, tag)))
            .collect();
        for chunk in tags.chunks(own::TAGS_CHUNK) {
            sqlx::QueryBuilder::new(own::INSERT_TAGS)
                .push_values(chunk, |mut row, (it, tag)| {
                    row.push_bind(&it.request)
                        .push_bind(it.attempt)
                        .push_bind(*tag)
                        .push_bind(it.at);
                })
                .push(" ON CONFLICT DO NOTHING")
                .build()
                .execute(&mut *$tx)
                .await?;
        }
    }};
}
pub(super) use insert_calls;

impl Store {
    /// Calls of a run, oldest first, after a place: moment, request, attempt.
    pub async fn list_calls_of_run(
        &self,
        run: &RunId,
        (at, request, attempt): (Timestamp, &str, i64),
        limit: u32,
    ) -> Result<Vec<CallRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM model_calls
            WHERE run = $1 AND run <> ''
                AND (at > $2 OR (at = $2 AND (request > $3 OR (request = $3 AND attempt > $4))))
            ORDER BY at, request, attempt LIMIT $5";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL)
                .bind(run)
                .bind(at)
                .bind(request)
                .bind(attempt)
                .bind(i64::from(limit))
                .fetch_all(db)
                .await?
        }))
    }

    /// Calls that providers have answered with text, the newest first; `limit` of the filter bounds them.
    pub async fn list_answered_calls(
        &self,
        filter: &SpendFilter,
    ) -> Result<Vec<AnsweredCall>, StoreError> {
        if filter.teams.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        Ok(with_db!(self, db => {
            let mut sql = QueryBuilder::new(ANSWERED);
            push_filter!(sql, filter);
            sql.push(" AND attempt > 0 AND origin = 'live' AND status >= 200 AND status < 300");
            // One of a batch takes as long as the batch.
            sql.push(" AND ' ' || flags || ' ' NOT LIKE '% batch %'");
            sql.push(" AND output_tokens > 0 ORDER BY at DESC LIMIT ");
            sql.push_bind(i64::from(filter.limit));
            sql.build_query_as().fetch_all(db).await?
        }))
    }

    /// Removes rows of the ledger that are older than `before`; gives how many.
    pub async fn delete_calls(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM model_calls WHERE (request, attempt) IN (
                SELECT request, attempt FROM model_calls WHERE at < $1 ORDER BY at LIMIT $2
            )";
        const TAGS: &str = "DELETE FROM call_tags WHERE at < $1";
        Ok(in_transaction!(self, tx => {
            sqlx::query(TAGS).bind(before).execute(&mut *tx).await?;
            let gone = sqlx::query(SQL).bind(before).bind(i64::from(limit)).execute(&mut *tx);
            gone.await?.rows_affected()
        }))
    }
}

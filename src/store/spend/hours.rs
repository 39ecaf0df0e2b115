//! The table `spend_hours`: sums of the ledger by hour. What is older than [`SETTLED_AFTER`] is read from it, what
//! is newer from the ledger itself.

use crate::model::Timestamp;
use crate::store::{Store, StoreError, in_transaction, with_db};

/// How old calls are when nothing of them changes any more: none takes so long, and by then it is known what dead
/// processes may have spent.
pub const SETTLED_AFTER: i64 = 24 * HOUR;
const HOUR: i64 = 3_600_000;
/// What is summed up in one transaction, which keeps others from writing.
const AT_ONCE: i64 = 6 * HOUR;

/// Columns that sums are made of, from the sums of hours. `calls` are attempts: rows of the ledger.
pub(super) const OF_HOURS: &str = "
    SELECT at, organisation, team, project, pipeline, run, stage, endpoint, model,
        calls, answered_here, input_tokens, output_tokens, tokens, cost, avoided, lost, reports, reported
    FROM spend_hours";
/// The same from the ledger.
pub(super) const OF_CALLS: &str = "
    SELECT at, organisation, team, project, pipeline, run, stage, endpoint, model,
        CASE WHEN attempt > 0 AND operation <> 'usage' THEN 1 ELSE 0 END AS calls,
        CASE WHEN origin <> 'live' THEN 1 ELSE 0 END AS answered_here,
        input_tokens, output_tokens, tokens, cost, avoided,
        CASE WHEN attempt = 0 THEN cost ELSE 0 END AS lost,
        CASE WHEN operation = 'usage' THEN 1 ELSE 0 END AS reports,
        CASE WHEN operation = 'usage' THEN cost ELSE 0 END AS reported
    FROM model_calls";

/// The same with a row for each tag of a call.
pub(super) const OF_TAGS: &str = "
    SELECT at, organisation, team, project, pipeline, run, stage, endpoint, model, tag,
        CASE WHEN attempt > 0 AND operation <> 'usage' THEN 1 ELSE 0 END AS calls,
        CASE WHEN origin <> 'live' THEN 1 ELSE 0 END AS answered_here,
        input_tokens, output_tokens, tokens, cost, avoided,
        CASE WHEN attempt = 0 THEN cost ELSE 0 END AS lost,
        CASE WHEN operation = 'usage' THEN 1 ELSE 0 END AS reports,
        CASE WHEN operation = 'usage' THEN cost ELSE 0 END AS reported
    FROM (
        SELECT model_calls.*, call_tags.tag FROM model_calls JOIN call_tags
            ON call_tags.request = model_calls.request AND call_tags.attempt = model_calls.attempt
    ) AS tagged";

/// A part of a span, and the table that it is read from.
pub(super) type Part = (&'static str, Timestamp, Timestamp);

/// A span cut into whole hours that are summed up, and what lies before and after them.
pub(super) fn parts(from: Timestamp, to: Timestamp, summed_until: Timestamp) -> Vec<Part> {
    let first = Timestamp(from.0.saturating_add(HOUR - 1).div_euclid(HOUR).saturating_mul(HOUR));
    let last = Timestamp(to.0.div_euclid(HOUR).saturating_mul(HOUR)).min(summed_until);
    if first >= last {
        return vec![(OF_CALLS, from, to)];
    }
    let parts = [(OF_CALLS, from, first), (OF_HOURS, first, last), (OF_CALLS, last, to)];
    parts.into_iter().filter(|it| it.1 < it.2).collect()
}

impl Store {
    /// The ledger before this moment is summed up.
    pub async fn find_summed_until(&self) -> Result<Timestamp, StoreError> {
        const SQL: &str = "SELECT until_at FROM spend_summed WHERE id = 1";
        Ok(with_db!(self, db => sqlx::query_scalar(SQL).fetch_one(db).await?))
    }

    /// Sums up the next six hours of the ledger from the next call on, before `until`, which begins an hour; false
    /// when there is nothing left to do.
    pub async fn sum_up_spend(&self, until: Timestamp) -> Result<bool, StoreError> {
        // The row is locked until the end, so that no hour is summed up twice.
        const LOCK: &str =
            "UPDATE spend_summed SET until_at = until_at WHERE id = 1 RETURNING until_at";
        const FIRST: &str =
            "SELECT at FROM model_calls WHERE at >= $1 AND at < $2 ORDER BY at LIMIT 1";
        const SUM: &str = "
            INSERT INTO spend_hours (
                at, organisation, team, project, pipeline, run, stage, endpoint, model, calls,
                answered_here, input_tokens, output_tokens, tokens, cost, avoided, lost, reports, reported
            )
            SELECT CAST(at / 3600000 * 3600000 AS BIGINT), organisation, team, project, pipeline, run,
                stage, endpoint, model,
                CAST(SUM(CASE WHEN attempt > 0 AND operation <> 'usage' THEN 1 ELSE 0 END) AS BIGINT),
                CAST(SUM(CASE WHEN origin <> 'live' THEN 1 ELSE 0 END) AS BIGINT),
                CAST(SUM(input_tokens) AS BIGINT), CAST(SUM(output_tokens) AS BIGINT),
                CAST(SUM(tokens) AS BIGINT), CAST(SUM(cost) AS BIGINT), CAST(SUM(avoided) AS BIGINT),
                CAST(SUM(CASE WHEN attempt = 0 THEN cost ELSE 0 END) AS BIGINT),
                CAST(SUM(CASE WHEN operation = 'usage' THEN 1 ELSE 0 END) AS BIGINT),
                CAST(SUM(CASE WHEN operation = 'usage' THEN cost ELSE 0 END) AS BIGINT)
            FROM model_calls WHERE at >= $1 AND at < $2
            GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9";
        const DONE: &str = "UPDATE spend_summed SET until_at = $1 WHERE id = 1";
        Ok(in_transaction!(self, tx => {
            let done: Timestamp = sqlx::query_scalar(LOCK).fetch_one(&mut *tx).await?;
            let first: Option<Timestamp> = sqlx::query_scalar(FIRST)
                .bind(done)
                .bind(until)
                .fetch_optional(&mut *tx)
                .await?;
            let from = first.map(|it| Timestamp(it.0.div_euclid(HOUR) * HOUR));
            let to = from.map_or(until, |it| Timestamp(it.0 + AT_ONCE).min(until)).max(done);
            if let Some(from) = from {
                sqlx::query(SUM).bind(from).bind(to).execute(&mut *tx).await?;
            }
            sqlx::query(DONE).bind(to).execute(&mut *tx).await?;
            to < until
        }))
    }

    /// Removes sums of hours before a moment; gives how many.
    pub async fn delete_spend_hours(&self, before: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM spend_hours WHERE at < $1";
        Ok(in_transaction!(self, tx => {
            sqlx::query(SQL).bind(before).execute(&mut *tx).await?.rows_affected()
        }))
    }
}

/// Until when the ledger may be summed up.
#[must_use]
pub fn settled(now: Timestamp) -> Timestamp {
    Timestamp((now.0 - SETTLED_AFTER).div_euclid(HOUR) * HOUR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(from: i64, to: i64, until: i64) -> Vec<(bool, i64, i64)> {
        let parts = parts(Timestamp(from), Timestamp(to), Timestamp(until)).into_iter();
        parts.map(|(sql, from, to)| (sql == OF_HOURS, from.0, to.0)).collect()
    }

    #[test]
    fn only_whole_hours_that_are_summed_up_are_taken_from_there() {
        let all = i64::MAX;
        assert_eq!(told(0, all, 0), [(false, 0, all)]);
        assert_eq!(told(0, all, 5 * HOUR), [(true, 0, 5 * HOUR), (false, 5 * HOUR, all)]);
        assert_eq!(
            told(10, 3 * HOUR + 7, 9 * HOUR),
            [(false, 10, HOUR), (true, HOUR, 3 * HOUR), (false, 3 * HOUR, 3 * HOUR + 7)]
        );
        assert_eq!(told(10, 20, 9 * HOUR), [(false, 10, 20)]);
        assert_eq!(told(8 * HOUR, 9 * HOUR, 4 * HOUR), [(false, 8 * HOUR, 9 * HOUR)]);
        assert_eq!(told(HOUR, 2 * HOUR, 2 * HOUR), [(true, HOUR, 2 * HOUR)]);
    }
}

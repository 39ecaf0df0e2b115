//! Sums over the ledger by time: a row for each span in which anything was called.

use sqlx::{FromRow, QueryBuilder};

use super::sums::{SpendBy, SpendFilter, push_source};
use crate::model::{Timestamp, UsdNanos};
use crate::store::{Store, StoreError, with_db};

/// How long a span is. Spans begin at whole multiples of it, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpendStep {
    /// Five minutes.
    FiveMinutes,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl SpendStep {
    /// Its length.
    #[must_use]
    pub fn milliseconds(self) -> i64 {
        match self {
            Self::FiveMinutes => 300_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// When the span begins that a moment lies in.
    #[must_use]
    pub fn start(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.div_euclid(self.milliseconds()) * self.milliseconds())
    }

    /// The word in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "five_minutes",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::FiveMinutes => "CAST(at / 300000 * 300000 AS BIGINT)",
            Self::Hour => "CAST(at / 3600000 * 3600000 AS BIGINT)",
            Self::Day => "CAST(at / 86400000 * 86400000 AS BIGINT)",
        }
    }
}

/// What was called in one span.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct SpendPoint {
    /// When the span begins.
    pub begun_at: Timestamp,
    /// What it is of; empty for all calls together.
    pub name: String,
    /// Attempts, as in [`SpendRow`](super::sums::SpendRow).
    pub attempts: i64,
    /// Tokens that budgets count.
    pub tokens: i64,
    /// Money.
    pub cost: UsdNanos,
    /// Money that caches and cassettes saved.
    pub avoided: UsdNanos,
}

impl Store {
    /// Sums by spans, oldest first; with `of` apart for each of its names, and only for those. `limit` of the
    /// filter bounds the rows.
    #[expect(clippy::cognitive_complexity, reason = "the body is there twice, once a database")]
    pub async fn list_spend_points(
        &self,
        step: SpendStep,
        of: Option<(SpendBy, &[String])>,
        filter: &SpendFilter,
    ) -> Result<Vec<SpendPoint>, StoreError> {
        let has_no_team = filter.teams.as_ref().is_some_and(Vec::is_empty);
        if has_no_team || of.is_some_and(|it| it.1.is_empty()) {
            return Ok(Vec::new());
        }
        // Sums of hours say nothing of shorter spans.
        let summed_until = match step {
            SpendStep::FiveMinutes => Timestamp(0),
            SpendStep::Hour | SpendStep::Day => self.find_summed_until().await?,
        };
        Ok(with_db!(self, db => {
            let mut sql = QueryBuilder::new("SELECT ");
            sql.push(step.sql()).push(" AS begun_at, ");
            sql.push(of.map_or("CAST('' AS TEXT)", |it| it.0.sql())).push(SUMS);
            push_source!(sql, filter, of.map(|it| it.0), summed_until);
            if let Some((by, names)) = of {
                sql.push(" WHERE ").push(by.sql()).push(" IN (");
                let mut list = sql.separated(", ");
                for name in names {
                    list.push_bind(name);
                }
                sql.push(")");
            }
            sql.push(if of.is_some() { " GROUP BY 1, 2" } else { " GROUP BY 1" });
            sql.push(" ORDER BY 1, 2 LIMIT ").push_bind(i64::from(filter.limit));
            sql.build_query_as().fetch_all(db).await?
        }))
    }
}

const SUMS: &str = " AS name,
    CAST(SUM(calls) AS BIGINT) AS attempts,
    CAST(SUM(tokens) AS BIGINT) AS tokens,
    CAST(SUM(cost) AS BIGINT) AS cost,
    CAST(SUM(avoided) AS BIGINT) AS avoided";

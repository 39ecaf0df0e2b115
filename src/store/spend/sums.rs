//! Sums over the ledger: where the money went.

use sqlx::{FromRow, QueryBuilder};

use crate::model::{Timestamp, UsdNanos};
use crate::store::{Store, StoreError, with_db};

/// What sums are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpendBy {
    /// Each team.
    Team,
    /// Each project.
    Project,
    /// Each pipeline, of whatever project.
    Pipeline,
    /// Each run.
    Run,
    /// Each stage, of whatever run.
    Stage,
    /// Each endpoint of deployed apps.
    Endpoint,
    /// Each model that was asked for.
    Model,
    /// Each word that apps tell their calls apart by; a call with several counts for each.
    Tag,
    /// Each day, UTC: its first millisecond.
    Day,
}

impl SpendBy {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Team,
        Self::Project,
        Self::Pipeline,
        Self::Run,
        Self::Stage,
        Self::Endpoint,
        Self::Model,
        Self::Tag,
        Self::Day,
    ];

    /// The word in addresses and commands.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Project => "project",
            Self::Pipeline => "pipeline",
            Self::Run => "run",
            Self::Stage => "stage",
            Self::Endpoint => "endpoint",
            Self::Model => "model",
            Self::Tag => "tag",
            Self::Day => "day",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// What comes first: what costs most, and the newest day.
    fn order(self) -> &'static str {
        if self == Self::Day { "MAX(at) DESC" } else { "cost DESC, name" }
    }

    /// Rows as people read them: days in their order.
    #[must_use]
    pub fn in_order(self, mut rows: Vec<SpendRow>) -> Vec<SpendRow> {
        if self == Self::Day {
            rows.sort_by_key(|it| it.name.parse::<i64>().unwrap_or_default());
        }
        rows
    }

    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Day => "CAST(at / 86400000 * 86400000 AS TEXT)",
            Self::Team
            | Self::Project
            | Self::Pipeline
            | Self::Run
            | Self::Stage
            | Self::Endpoint
            | Self::Model
            | Self::Tag => self.as_str(),
        }
    }
}

/// Which calls; what is empty does not count.
#[derive(Debug, Clone, Default)]
pub struct SpendFilter {
    /// From this moment on.
    pub from: Timestamp,
    /// Before this moment.
    pub to: Timestamp,
    /// Of this organisation.
    pub organisation: String,
    /// Of one of these teams; `None` for all.
    pub teams: Option<Vec<String>>,
    /// Of this project.
    pub project: String,
    /// Of this pipeline.
    pub pipeline: String,
    /// Of this run.
    pub run: String,
    /// Of this stage.
    pub stage: String,
    /// Of this endpoint.
    pub endpoint: String,
    /// Of this model.
    pub model: String,
    /// Of this model, which is in lower case here: as accounts of budgets have it, however it was sent.
    pub model_in_any_case: String,
    /// With this tag.
    pub tag: String,
    /// Sums at most: the largest ones.
    pub limit: u32,
}

/// A sum of calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct SpendRow {
    /// What it is of.
    pub name: String,
    /// Attempts: rows of the ledger. A call that was tried again has one for each time.
    pub attempts: i64,
    /// Those that a cache or a cassette has answered.
    pub answered_here: i64,
    /// Tokens of prompts.
    pub input_tokens: i64,
    /// Tokens of answers.
    pub output_tokens: i64,
    /// Money.
    pub cost: UsdNanos,
    /// Money that caches and cassettes saved.
    pub avoided: UsdNanos,
    /// Money of what may have been spent by processes that died.
    pub lost: UsdNanos,
    /// Reports of apps on what they have used elsewhere; no calls.
    pub reports: i64,
    /// Money of those, among `cost`.
    pub reported: UsdNanos,
}

/// Adds the conditions, of the filter's span or of another. A macro, as the type of the builder differs by database.
macro_rules! push_filter {
    ($sql:ident, $filter:ident) => {
        $crate::store::spend::sums::push_filter!($sql, $filter, $filter.from, $filter.to)
    };
    ($sql:ident, $filter:ident, $from:expr, $to:expr) => {
        $sql.push(" WHERE at >= ").push_bind($from);
        $sql.push(" AND at < ").push_bind($to);
        let columns = [
            (" AND organisation = ", &$filter.organisation),
            (" AND project = ", &$filter.project),
            (" AND pipeline = ", &$filter.pipeline),
            // So that the index is used, which has only these.
            (" AND run <> '' AND run = ", &$filter.run),
            (" AND stage = ", &$filter.stage),
            (" AND endpoint = ", &$filter.endpoint),
            (" AND model = ", &$filter.model),
            (" AND LOWER(model) = ", &$filter.model_in_any_case),
        ];
        for (column, value) in columns.into_iter().filter(|it| !it.1.is_empty()) {
            $sql.push(column).push_bind(value);
        }
        if let Some(teams) = &$filter.teams {
            $sql.push(" AND team IN (");
            let mut list = $sql.separated(", ");
            for team in teams {
                list.push_bind(team);
            }
            $sql.push(")");
        }
    };
}
pub(super) use push_filter;

/// Adds ` FROM (…) AS spent`: the rows that sums are made of, of hours that are summed up and of the ledger.
macro_rules! push_source {
    ($sql:ident, $filter:ident, $by:expr, $summed_until:expr) => {
        use $crate::store::spend::hours as own;
        let is_by_tag = $by == Some($crate::store::spend::sums::SpendBy::Tag);
        let parts = if is_by_tag || !$filter.tag.is_empty() {
            vec![(own::OF_TAGS, $filter.from, $filter.to)]
        } else {
            own::parts($filter.from, $filter.to, $summed_until)
        };
        for (number, (source, from, to)) in parts.into_iter().enumerate() {
            $sql.push(if number == 0 { " FROM (" } else { " UNION ALL " }).push(source);
            $crate::store::spend::sums::push_filter!($sql, $filter, from, to);
            if !$filter.tag.is_empty() {
                $sql.push(" AND tag = ").push_bind(&$filter.tag);
            }
        }
        $sql.push(") AS spent");
    };
}
pub(super) use push_source;

impl Store {
    /// Sums of calls, the dearest first; of days the newest, the oldest of them first.
    pub async fn sum_spend(
        &self,
        by: SpendBy,
        filter: &SpendFilter,
    ) -> Result<Vec<SpendRow>, StoreError> {
        if filter.teams.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let summed_until = self.find_summed_until().await?;
        let rows: Vec<SpendRow> = with_db!(self, db => {
            let mut sql = QueryBuilder::new("SELECT ");
            sql.push(by.sql()).push(SUMS);
            push_source!(sql, filter, Some(by), summed_until);
            sql.push(" GROUP BY 1 ORDER BY ").push(by.order()).push(" LIMIT ");
            sql.push_bind(i64::from(filter.limit));
            sql.build_query_as().fetch_all(db).await?
        });
        Ok(by.in_order(rows))
    }
}

const SUMS: &str = " AS name,
    CAST(SUM(calls) AS BIGINT) AS attempts,
    CAST(SUM(answered_here) AS BIGINT) AS answered_here,
    CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
    CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
    CAST(SUM(cost) AS BIGINT) AS cost,
    CAST(SUM(avoided) AS BIGINT) AS avoided,
    CAST(SUM(lost) AS BIGINT) AS lost,
    CAST(SUM(reports) AS BIGINT) AS reports,
    CAST(SUM(reported) AS BIGINT) AS reported";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_come_in_their_order_and_other_sums_as_they_are() {
        let row = |name: &str| SpendRow { name: name.to_owned(), ..SpendRow::default() };
        let rows = || vec![row("172800000"), row("86400000"), row("1793491200000")];
        let names = |by: SpendBy| {
            let rows = by.in_order(rows()).into_iter();
            rows.map(|it| it.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(SpendBy::Day), "86400000 172800000 1793491200000");
        assert_eq!(names(SpendBy::Run), "172800000 86400000 1793491200000");
    }
}

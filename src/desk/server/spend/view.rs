//! What was spent over time, as clients see it.

use super::trend::Trend;
use crate::desk::server::money::{cents, usd};
use crate::desk::server::outlook::Outlook;
use crate::desk::server::outlook::period::Period;
use crate::model::UsdNanos;

/// What calls to models have cost over a period.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct SpendTrendView {
    /// `today`, `7d`, `30d`, `90d`, `month` or `last-month`.
    pub period: String,
    /// When it began, in milliseconds since 1970-01-01 UTC.
    pub from: i64,
    /// The first moment after it.
    pub to: i64,
    /// How long each of `points` is: `hour` or `day`.
    pub step: String,
    /// As `attempts`.
    pub calls: i64,
    /// Attempts: a call counts each time that it was sent to a provider, and once when a cache or a cassette has
    /// answered it.
    pub attempts: i64,
    /// Dollars.
    pub cost_usd: String,
    /// Dollars that caches and cassettes saved.
    pub avoided_usd: String,
    /// What it comes to at the end; absent when it is over, or too little is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastView>,
    /// Id of the budget that is for just these calls and this period; of several the one nearest to its ceiling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
    /// Its ceiling in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_usd: Option<String>,
    /// Dollars that it has counted: only those that were spent after it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_spent_usd: Option<String>,
    /// Every span, oldest first.
    pub points: Vec<SpendPointView>,
    /// The dearest names, the dearest first; at most 4.
    pub series: Vec<SpendSeriesView>,
}

/// What a period comes to at its end.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct ForecastView {
    /// Dollars, most likely.
    pub cost_usd: String,
    /// In four of five cases not less.
    pub low_usd: String,
    /// In four of five cases not more.
    pub high_usd: String,
    /// Complete spans before now that it was told from.
    pub spans: usize,
    /// When the budget is used up, in milliseconds since 1970-01-01 UTC; absent when it will not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_up_at: Option<i64>,
}

/// One span.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct SpendPointView {
    /// When it began, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// As `attempts`.
    pub calls: i64,
    /// Attempts: a call counts each time that it was sent to a provider, and once when a cache or a cassette has
    /// answered it.
    pub attempts: i64,
    /// Dollars.
    pub cost_usd: String,
    /// Dollars that caches and cassettes saved.
    pub avoided_usd: String,
}

/// One name over time.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct SpendSeriesView {
    /// The name; empty for calls that belong to none, and for what processes may have spent that died.
    pub name: String,
    /// Dollars of each span.
    pub cost_usd: Vec<String>,
}

impl SpendTrendView {
    /// Of what was loaded.
    #[must_use]
    pub fn new(period: Period, trend: &Trend) -> Self {
        let point = |it: &crate::store::spend::points::SpendPoint| SpendPointView {
            at: it.begun_at.0,
            calls: it.attempts,
            attempts: it.attempts,
            cost_usd: usd(it.cost),
            avoided_usd: usd(it.avoided),
        };
        let series = |(name, costs): &(String, Vec<UsdNanos>)| SpendSeriesView {
            name: name.clone(),
            cost_usd: costs.iter().map(|it| usd(*it)).collect(),
        };
        Self {
            period: period.as_str().to_owned(),
            from: trend.span.from.0,
            to: trend.span.to.0,
            step: trend.span.step.as_str().to_owned(),
            calls: trend.total(|it| it.attempts),
            attempts: trend.total(|it| it.attempts),
            cost_usd: usd(UsdNanos(trend.total(|it| it.cost.0))),
            avoided_usd: usd(UsdNanos(trend.total(|it| it.avoided.0))),
            forecast: trend.outlook.as_ref().map(ForecastView::of),
            budget: trend.budget.as_ref().map(|it| it.row.id.clone()),
            limit_usd: trend.budget.as_ref().map(|it| usd(it.limit)),
            budget_spent_usd: trend.budget.as_ref().map(|it| usd(it.spent)),
            points: trend.all.iter().map(point).collect(),
            series: trend.series.iter().map(series).collect(),
        }
    }
}

impl ForecastView {
    /// Of nano-dollars.
    #[must_use]
    pub fn of(outlook: &Outlook) -> Self {
        Self {
            cost_usd: usd(cents(outlook.forecast.total)),
            low_usd: usd(cents(outlook.forecast.low)),
            high_usd: usd(cents(outlook.forecast.high)),
            spans: outlook.spans,
            used_up_at: outlook.used_up_at.map(|it| it.0),
        }
    }
}

//! Budgets, and what is used of them, as clients see them: JSON and the command line.

use std::collections::BTreeMap;

use super::Saved;
use super::used::Used;
use crate::desk::server::money::usd;
use crate::store::spend::budgets::BudgetRow;

/// A budget: a ceiling for calls to models.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct BudgetView {
    /// Its name; of a team: `team/name`.
    pub id: String,
    /// Name of the team whose it is; absent when it is the installation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Which calls: names, or `*` for each apart, by what they are of.
    pub scope: BTreeMap<String, String>,
    /// The span after which it begins anew: `hour`, `day`, `month` (UTC) or `whole`.
    pub window: String,
    /// Dollars in a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<String>,
    /// Tokens in a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<i64>,
    /// Dollars for a thousand requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_per_thousand_requests: Option<String>,
    /// Requests that the ceiling above takes for granted at the start of a window.
    pub at_least_requests: i64,
    /// `hard`: calls that do not fit are refused; `soft`: people are told.
    pub mode: String,
    /// Who set it.
    pub set_by: String,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub set_at: i64,
    /// What its present window has used, taken from the ledger; only in the answer to what changed its window or scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ledger: Option<FromLedgerView>,
}

/// What the present window of a budget has used, as the ledger says.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct FromLedgerView {
    /// When the window began, in milliseconds since 1970-01-01 UTC; 0 for one that never ends.
    pub from: i64,
    /// Dollars, of all accounts together.
    pub usd: String,
    /// Tokens.
    pub tokens: i64,
}

impl From<BudgetRow> for BudgetView {
    fn from(row: BudgetRow) -> Self {
        Self {
            id: row.id,
            team: Some(row.team).filter(|it| !it.is_empty()),
            scope: serde_json::from_str(&row.scope).unwrap_or_default(),
            window: row.span,
            usd: row.money.map(usd),
            tokens: row.tokens,
            usd_per_thousand_requests: row.per_thousand.map(usd),
            at_least_requests: row.at_least_requests,
            mode: row.mode,
            set_by: row.set_by,
            set_at: row.changed_at.0,
            from_ledger: None,
        }
    }
}

impl From<Saved> for BudgetView {
    fn from(saved: Saved) -> Self {
        Self { from_ledger: saved.recount.map(|it| it.view()), ..Self::from(saved.row) }
    }
}

/// What is used of a budget, for one value of each part of its scope that is counted apart.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct UsageView {
    /// Such as `team=shop run=01k…`; empty for all calls together.
    pub account: String,
    /// When the window began, in milliseconds since 1970-01-01 UTC.
    pub began_at: i64,
    /// When it begins anew; absent when that never comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<i64>,
    /// Dollars that are spent.
    pub spent_usd: String,
    /// Tokens that are.
    pub spent_tokens: i64,
    /// Dollars, among `spent_usd`, that were set aside for processes which died: they may have spent that.
    #[serde(default)]
    pub lost_usd: String,
    /// Dollars that are set aside for calls under way, and for the next ones.
    pub reserved_usd: String,
    /// Tokens that are.
    pub reserved_tokens: i64,
    /// Dollars beyond what calls had reserved.
    pub overrun_usd: String,
    /// Calls that were charged.
    pub requests: i64,
    /// Dollars that may be spent; absent where money is not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_usd: Option<String>,
    /// How much of the limits is spent.
    pub percent: u8,
    /// Dollars that will be spent when the window ends; absent where money is not limited, or too little is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast_usd: Option<String>,
    /// Tokens that will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast_tokens: Option<i64>,
    /// When it will be used up, in milliseconds since 1970-01-01 UTC; absent when that is not before the window ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_up_at: Option<i64>,
}

impl From<Used> for UsageView {
    fn from(used: Used) -> Self {
        let Used { row, ends_at, limit, percent, prospect } = used;
        let prospect = prospect.unwrap_or_default();
        Self {
            account: row.account,
            began_at: row.began_at.0,
            ends_at: ends_at.map(|it| it.0),
            spent_usd: usd(row.spent),
            spent_tokens: row.spent_tokens,
            lost_usd: usd(row.lost),
            reserved_usd: usd(row.granted),
            reserved_tokens: row.granted_tokens,
            overrun_usd: usd(row.overrun),
            requests: row.requests,
            limit_usd: limit.map(usd),
            percent,
            forecast_usd: prospect.money.map(usd),
            forecast_tokens: prospect.tokens,
            used_up_at: prospect.used_up_at.map(|it| it.0),
        }
    }
}

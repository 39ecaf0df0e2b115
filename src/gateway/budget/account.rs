//! What is used of one budget: amounts, ceilings, and the thresholds that are told of.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use crate::model::Amount;
use crate::model::UsdNanos;
use crate::store::spend::alerts::THRESHOLDS;

/// So much of a budget is spent when each call is told.
const NEARLY_PERCENT: u8 = 80;

/// A ceiling. What is not given is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Money in a window.
    #[serde(default, rename = "usd", with = "usd", skip_serializing_if = "Option::is_none")]
    pub money: Option<UsdNanos>,
    /// Tokens in a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<i64>,
    /// Money for a thousand calls: what may be spent grows with the calls that were settled.
    #[serde(
        default,
        rename = "usd_per_thousand_requests",
        with = "usd",
        skip_serializing_if = "Option::is_none"
    )]
    pub per_thousand: Option<UsdNanos>,
    /// How many calls the ceiling above takes for granted at the start of a window.
    #[serde(default = "hundred")]
    pub at_least_requests: u32,
}

fn hundred() -> u32 {
    100
}

impl Limit {
    /// The money that may be spent, after so many settled calls.
    #[must_use]
    pub fn money_after(&self, requests: u64) -> Option<UsdNanos> {
        let ceiling = self.per_thousand.map(|it| {
            let requests = requests.saturating_add(1).max(u64::from(self.at_least_requests));
            let money = i128::from(it.0) * i128::from(requests) / 1000;
            UsdNanos(i64::try_from(money).unwrap_or(i64::MAX))
        });
        match (self.money, ceiling) {
            (Some(money), Some(ceiling)) => Some(money.min(ceiling)),
            (money, ceiling) => money.or(ceiling),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let money = self.money.map(|it| it.to_string());
        let tokens = self.tokens.map(|it| format!("{it} tokens"));
        let per_thousand = self.per_thousand.map(|it| format!("{it} for 1,000 requests"));
        let parts: Vec<_> = [money, tokens, per_thousand].into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "no limit" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

/// What is used of a budget in one window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// By closed calls.
    pub spent: Amount,
    /// Reserved by open calls.
    pub held: Amount,
    /// What calls cost beyond their reservations.
    pub overrun: Amount,
    /// Calls that were charged.
    pub requests: u64,
    alerted: u8,
}

impl Account {
    /// Spent and reserved.
    #[must_use]
    pub fn used(&self) -> Amount {
        self.spent.plus(self.held)
    }

    /// Whether a call fits.
    #[must_use]
    pub fn fits(&self, estimate: Amount, limit: &Limit) -> bool {
        let after = self.used().plus(estimate);
        limit.money_after(self.requests).is_none_or(|it| after.money <= it)
            && limit.tokens.is_none_or(|it| after.tokens <= it)
    }

    /// The money that is left; never negative.
    #[must_use]
    pub fn money_left(&self, limit: &Limit) -> Option<UsdNanos> {
        let limit = limit.money_after(self.requests)?;
        Some(UsdNanos(limit.0.saturating_sub(self.used().money.0).max(0)))
    }

    /// The tokens that are left; never negative.
    #[must_use]
    pub fn tokens_left(&self, limit: &Limit) -> Option<u64> {
        let left = limit.tokens?.saturating_sub(self.used().tokens);
        Some(u64::try_from(left).unwrap_or(0))
    }

    /// Whether so much is spent that each call is told. Of what counts as spent here, others have not spent `elsewhere`.
    #[must_use]
    pub fn is_nearly_used(&self, elsewhere: Amount, limit: &Limit) -> bool {
        let spent = self.spent.minus(elsewhere);
        spent.percent_of(limit.money_after(self.requests), limit.tokens) >= NEARLY_PERCENT
    }

    /// The highest threshold that what is spent has crossed and that was not told of.
    pub fn newly_crossed(&mut self, limit: &Limit) -> Option<u8> {
        let percent = self.spent.percent_of(limit.money_after(self.requests), limit.tokens);
        let crossed = THRESHOLDS.into_iter().rfind(|it| *it <= percent && *it > self.alerted)?;
        self.alerted = crossed;
        Some(crossed)
    }
}

/// A threshold of a budget was crossed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// The budget.
    pub budget: String,
    /// The one of its accounts.
    pub account: String,
    /// The threshold.
    pub percent: u8,
    /// What is spent.
    pub used: Amount,
    /// The ceiling.
    pub limit: Limit,
}

/// Dollars as people write them: `"12.50"`.
mod usd {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::gateway::prices::rate::{Decimal, Rate};
    use crate::model::UsdNanos;

    #[expect(clippy::ref_option, reason = "the shape that serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<UsdNanos>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(it) => serializer.collect_str(it.to_string().trim_end_matches(" USD")),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UsdNanos>, D::Error> {
        // A price of a million units in 10^-15 dollars a unit is an amount in nano-dollars.
        let Decimal(Rate(nanos)) = Decimal::<6>::deserialize(deserializer)?;
        Ok(Some(UsdNanos(nanos)))
    }
}

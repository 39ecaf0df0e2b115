//! Money, and tokens beside it.

use std::fmt;

/// An amount in US dollars, in integer nano-dollars (10^-9 USD).
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    sqlx::Type,
)]
#[sqlx(transparent)]
#[serde(transparent)]
pub struct UsdNanos(pub i64);

impl UsdNanos {
    /// Nano-dollars in one dollar.
    pub const PER_USD: i64 = 1_000_000_000;
}

impl fmt::Display for UsdNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, part) = (
            self.0.unsigned_abs() / Self::PER_USD.unsigned_abs(),
            self.0.unsigned_abs() % Self::PER_USD.unsigned_abs(),
        );
        let digits = format!("{part:09}");
        let kept = digits.trim_end_matches('0');
        write!(f, "{sign}{whole}.{kept:0<2} USD")
    }
}

/// Money and tokens. Differences may be negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Amount {
    /// Money.
    pub money: UsdNanos,
    /// Tokens, of whatever class.
    pub tokens: i64,
}

impl Amount {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            money: UsdNanos(self.money.0.saturating_add(other.money.0)),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }

    /// This without the other.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            money: UsdNanos(self.money.0.saturating_sub(other.money.0)),
            tokens: self.tokens.saturating_sub(other.tokens),
        }
    }

    /// What is more than the other.
    #[must_use]
    pub fn beyond(self, other: Self) -> Self {
        self.minus(other).most(Self::default())
    }

    /// The larger of each.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        Self { money: self.money.max(other.money), tokens: self.tokens.max(other.tokens) }
    }

    /// The smaller of each.
    #[must_use]
    pub fn least(self, other: Self) -> Self {
        Self { money: self.money.min(other.money), tokens: self.tokens.min(other.tokens) }
    }

    /// The larger of the shares of two limits, in percent, at most 255; 0 without limits.
    #[must_use]
    pub fn percent_of(self, money: Option<UsdNanos>, tokens: Option<i64>) -> u8 {
        let share = |used: i64, limit: i64| match limit {
            ..=0 => 100,
            _ => (i128::from(used.max(0)) * 100 / i128::from(limit)).min(255),
        };
        let money = money.map(|it| share(self.money.0, it.0));
        let tokens = tokens.map(|it| share(self.tokens, it));
        u8::try_from(money.max(tokens).unwrap_or_default()).unwrap_or(u8::MAX)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {} tokens", self.money, self.tokens)
    }
}

//! Money.

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
)]
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

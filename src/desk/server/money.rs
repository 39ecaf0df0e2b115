//! Amounts of money as clients see them. Pure.

use crate::model::UsdNanos;

/// Dollars, without the currency.
#[must_use]
pub fn usd(money: UsdNanos) -> String {
    money.to_string().trim_end_matches(" USD").to_owned()
}

/// An estimate of nano-dollars, with no more digits than it has: three that count, or cents.
#[must_use]
pub fn cents(nanos: f64) -> UsdNanos {
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let nanos = nanos.max(0.0).round() as i64;
    let mut unit = UsdNanos::PER_USD / 100;
    while unit > 1 && nanos < unit * 100 {
        unit /= 10;
    }
    UsdNanos(nanos.saturating_add(unit / 2) / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_has_no_more_digits_than_it_deserves() {
        let told = |usd_nanos: f64| usd(cents(usd_nanos));
        assert_eq!(told(12.345_678e9), "12.35");
        assert_eq!(told(0.001_234_567e9), "0.00123");
        assert_eq!(told(0.0), "0.00");
        assert_eq!(told(-5.0), "0.00");
    }
}

//! A number of tokens as it stands in JSON. Some programs know only one kind of number and write `12` as `12.0`:
//! that is the same number.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A whole number that is not negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

/// Up to here every whole number is a `f64` of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(Whole)
    }
}

struct Whole;

impl Visitor<'_> for Whole {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number that is not negative")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
        Ok(Count(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
        let wrong = |_| E::invalid_value(Unexpected::Signed(number), &self);
        u64::try_from(number).map(Count).map_err(wrong)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Count, E> {
        if number.fract() == 0.0 && (0.0..=EXACT).contains(&number) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole")]
            return Ok(Count(number as u64));
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match serde_json::from_str::<Count>(text) {
            Ok(it) => it.0.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        assert_eq!(["12", "12.0", "0.0", "1.2e1", "-0.0"].map(read), ["12", "12", "0", "12", "0"]);
        assert_eq!(
            ["1.5", "-1", "1e300", "\"1\""].map(read),
            [
                "invalid value: floating point `1.5`, expected a whole number that is not negative at line 1 column 3",
                "invalid value: integer `-1`, expected a whole number that is not negative at line 1 column 2",
                "invalid value: floating point `1e+300`, expected a whole number that is not negative at line 1 column 5",
                "invalid type: string \"1\", expected a whole number that is not negative at line 1 column 3",
            ]
        );
    }
}

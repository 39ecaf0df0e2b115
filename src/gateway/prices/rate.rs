//! Amounts, days and hours of a price file.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::{Timestamp, UsageClass};

const DAY_MS: i64 = 86_400_000;
/// Of what is written with an exponent.
const EXPONENT_MAX: i32 = 40;
const MINUTE_MS: i64 = 60_000;

/// What one token, call or search costs, in femto-dollars (10^-15 USD). A dollar for a million tokens
/// is 10^9 of them, so nine digits after the point of such a price are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(pub i64);

/// Rates by class.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// For a million tokens.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per_million: BTreeMap<UsageClass, Decimal<6>>,
    /// For a thousand calls, searches or sessions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per_thousand: BTreeMap<UsageClass, Decimal<3>>,
}

impl Rates {
    /// The rate of a class.
    #[must_use]
    pub fn of(&self, class: UsageClass) -> Option<Rate> {
        let tokens = self.per_million.get(&class).map(|it| it.0);
        tokens.or_else(|| self.per_thousand.get(&class).map(|it| it.0))
    }
}

/// A rate as it is written: dollars for 10^`POWER` units, as a text or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal<const POWER: u32>(pub Rate);

impl<const POWER: u32> FromStr for Decimal<POWER> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an amount of dollars");
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => {
                let exponent = exponent.parse::<i32>().ok();
                let exponent = exponent.filter(|it| (-EXPONENT_MAX..=EXPONENT_MAX).contains(it));
                (number, exponent.ok_or_else(wrong)?)
            }
            None => (text, 0),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{part}");
        if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
            return Err(wrong());
        }
        let mut value: i128 = digits.parse().map_err(|_| wrong())?;
        let scale = 15 - i32::try_from(POWER).map_err(|_| wrong())?;
        let mut shift = scale + exponent - i32::try_from(part.len()).map_err(|_| wrong())?;
        while shift > 0 {
            value = value.checked_mul(10).ok_or_else(wrong)?;
            shift -= 1;
        }
        while shift < 0 {
            if value % 10 != 0 {
                return Err(format!("`{text}` has more digits than are kept"));
            }
            value /= 10;
            shift += 1;
        }
        i64::try_from(value).map(|it| Self(Rate(it))).map_err(|_| wrong())
    }
}

impl<const POWER: u32> fmt::Display for Decimal<POWER> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_i64.pow(15 - POWER);
        let digits = format!("{:0width$}", self.0.0 % unit, width = (15 - POWER) as usize);
        let kept = digits.trim_end_matches('0');
        let point = if kept.is_empty() { "" } else { "." };
        write!(f, "{}{point}{kept}", self.0.0 / unit)
    }
}

impl<const POWER: u32> Serialize for Decimal<POWER> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const POWER: u32> Deserialize<'de> for Decimal<POWER> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Whole(u64),
            Float(f64),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Text(it) => it,
            Written::Whole(it) => it.to_string(),
            // The shortest text that reads as the same number is what was written.
            Written::Float(it) => it.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A day, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    days: i64,
}

impl Date {
    /// Its first moment.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp(self.days * DAY_MS)
    }

    /// The day of a moment.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self { days: at.0.div_euclid(DAY_MS) }
    }

    /// Year, month and day of the month, in the proleptic Gregorian calendar.
    #[must_use]
    pub fn parts(self) -> (i64, i64, i64) {
        // Years from March, so that the day that may be missing is a year's last.
        let days = self.days + 719_468;
        let era = days.div_euclid(146_097);
        let day = days.rem_euclid(146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        (year + era * 400 + next, month, day)
    }

    /// The day of its parts.
    #[must_use]
    pub fn from_parts(year: i64, month: i64, day: i64) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year = year.rem_euclid(400);
        let month = (month + 9) % 12;
        let day = (153 * month + 2) / 5 + day - 1;
        Self { days: era * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468 }
    }
}

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<i64> = text.split('-').filter_map(|it| it.parse().ok()).collect();
        let date = match parts[..] {
            [year, month @ 1..=12, day @ 1..=31] => Self::from_parts(year, month, day),
            _ => return Err(format!("`{text}` is not a day such as 2026-01-31")),
        };
        if date.to_string() == text { Ok(date) } else { Err(format!("`{text}` is not a day")) }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A minute of the day, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DayTime {
    minutes: i64,
}

impl DayTime {
    /// The minute of a moment.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self { minutes: at.0.rem_euclid(DAY_MS) / MINUTE_MS }
    }

    /// Whether it is from `from` on and before `to`, which may lie on the next day.
    #[must_use]
    pub fn is_within(self, from: Self, to: Self) -> bool {
        if from <= to { from <= self && self < to } else { from <= self || self < to }
    }
}

impl FromStr for DayTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<i64> = text.split(':').filter_map(|it| it.parse().ok()).collect();
        match parts[..] {
            [hour @ 0..=23, minute @ 0..=59] => Ok(Self { minutes: hour * 60 + minute }),
            _ => Err(format!("`{text}` is not a time such as 16:30")),
        }
    }
}

impl fmt::Display for DayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

/// Written and read as text.
macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(Date, DayTime);

//! Values with a unit or a grammar of their own: durations, sizes, money, rates, dates, schedules,
//! globs and paths.

use super::fields::{Read, wrong_type};
use super::scalar::{Plain, scalar};
use crate::model::{Milliseconds, Timestamp, UsdNanos};
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::{Node, ScalarKind};

#[cfg(test)]
mod tests;

/// The longest span: 10 years.
const LONGEST_MS: u64 = 10 * 366 * 86_400_000;

impl Read for Milliseconds {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let found = scalar(node).and_then(|it| duration(&it.text));
        if found.is_some() {
            return found;
        }
        let help = match scalar(node).map(|it| (it.kind, &it.text)) {
            Some((ScalarKind::Int(_), text)) => format!("say the unit: `{text}s` or `{text}m`"),
            _ => "units are `ms`, `s`, `m`, `h` and `d`, the largest first".to_owned(),
        };
        wrong_type(node, label, "a duration such as `15m` or `2h30m`", reading, &help);
        None
    }
}

/// A span of time that is longer than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Positive(pub(crate) Milliseconds);

impl Read for Positive {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let span = Milliseconds::read(node, label, reading)?;
        if span.0 == 0 {
            let message = format!("{label} must be longer than zero");
            let help = "write how long, such as `15m`, or remove the key";
            reading.error("pipeline/zero-duration", node.place, message, help);
        }
        (span.0 > 0).then_some(Self(span))
    }
}

/// Reads `2h30m`: numbers with units, the largest first.
pub(crate) fn duration(text: &str) -> Option<Milliseconds> {
    const UNITS: [(&str, u64); 5] =
        [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let (mut rest, mut total, mut last) = (text, 0_u64, u64::MAX);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (digits, after) = rest.split_at(end);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        if *size >= last {
            return None;
        }
        last = *size;
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(*size)?)?;
        rest = after;
    }
    (last != u64::MAX && total <= LONGEST_MS).then_some(Milliseconds(total))
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

impl Read for Bytes {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let found = scalar(node).and_then(|it| size(&it.text)).filter(|it| it.0 > 0);
        if found.is_some() {
            return found;
        }
        let help = match scalar(node).map(|it| (it.kind, &it.text)) {
            Some((ScalarKind::Int(_), text)) => format!("say the unit: `{text}Mi` or `{text}Gi`"),
            _ => "units are `Ki`, `Mi`, `Gi`, `Ti` (1024) and `K`, `M`, `G`, `T` (1000)".to_owned(),
        };
        wrong_type(node, label, "a size such as `512Mi` or `2Gi`", reading, &help);
        None
    }
}

fn size(text: &str) -> Option<Bytes> {
    const UNITS: [(&str, u64); 9] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("K", 1_000),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
    ];
    let (digits, unit) = UNITS.iter().find_map(|(unit, factor)| {
        text.strip_suffix(unit).map(|digits| (digits.trim_end(), *factor))
    })?;
    let millis = thousandths(digits)?;
    Some(Bytes(u64::try_from(u128::from(millis) * u128::from(unit) / 1000).ok()?))
}

/// Reads `1`, `1.5` or `1.125` as thousandths.
fn thousandths(text: &str) -> Option<u64> {
    decimal(text, 3)
}

/// Reads a decimal number in units of 10^-`places`.
fn decimal(text: &str, places: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) || part.len() > places {
        return None;
    }
    let scale = 10_u64.pow(u32::try_from(places).ok()?);
    let part = format!("{part:0<places$}").parse::<u64>().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(part)
}

/// Thousandths of a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cpu(pub(crate) u64);

impl Read for Cpu {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let text = scalar(node).map_or("", |it| it.text.as_str());
        let millis = match text.strip_suffix('m') {
            Some(millis) => millis.parse().ok(),
            None => thousandths(text),
        };
        if let Some(millis) = millis.filter(|it| (10..=1_024_000).contains(it)) {
            return Some(Self(millis));
        }
        let help = "at least 0.01, at most 1024; `500m` is half a CPU";
        wrong_type(node, label, "a number of CPUs such as `2` or `0.5`", reading, help);
        None
    }
}

impl Read for UsdNanos {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let text = scalar(node).map_or("", |it| it.text.as_str());
        let found = text.strip_suffix("USD").filter(|it| it.ends_with(' ')).map(str::trim_end);
        let nanos = found.and_then(|it| decimal(it, 9)).and_then(|it| i64::try_from(it).ok());
        if let Some(nanos) = nanos {
            return Some(Self(nanos));
        }
        let digits = text.trim_start_matches('$').trim_end_matches("USD").trim_end();
        let help = if decimal(digits, 9).is_some() {
            format!("write `{digits} USD`")
        } else {
            "only US dollars are known, with at most nine decimals".to_owned()
        };
        wrong_type(node, label, "an amount such as `4.00 USD`", reading, &help);
        None
    }
}

/// Whether a text is a rate such as `50/s`.
pub(crate) fn is_rate(text: &str) -> bool {
    text.split_once('/').is_some_and(|(number, unit)| {
        thousandths(number).is_some_and(|it| it > 0) && matches!(unit, "s" | "m" | "h")
    })
}

/// A calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    days_since_epoch: i64,
}

impl Day {
    /// The first moment after the day, UTC.
    pub(crate) fn end(self) -> Timestamp {
        Timestamp((self.days_since_epoch + 1) * 86_400_000)
    }
}

impl Read for Day {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let text = scalar(node).map_or("", |it| it.text.as_str());
        if let Some(days_since_epoch) = day_number(text) {
            return Some(Self { days_since_epoch });
        }
        wrong_type(
            node,
            label,
            "a date such as `2027-03-31`",
            reading,
            "a day that exists, as year-month-day",
        );
        None
    }
}

/// Days from 1970-01-01 to `YYYY-MM-DD` (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `days_from_civil`).
pub(crate) fn day_number(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let mut next = |len: usize| {
        let part = parts.next().filter(|it| it.len() == len)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<i64>().ok())?
    };
    let (year, month, day) = (next(4)?, next(2)?, next(2)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = longest_month(month, is_leap);
    if !(1970..=9999).contains(&year) || !(1..=longest).contains(&day) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Days of a month; none of one that does not exist.
fn longest_month(month: i64, is_leap: bool) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// A glob that compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob(pub(crate) String);

impl Read for Glob {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let Plain(text) = Plain::read(node, label, reading)?;
        match globset::Glob::new(&text) {
            Ok(_) if text.len() <= 1000 => Some(Self(text)),
            Ok(_) => {
                let message =
                    format!("{label} is a glob of {} bytes; the limit is 1000", text.len());
                reading.error("pipeline/glob", node.place, message, "use several globs");
                None
            }
            Err(error) => {
                let message = format!("`{text}` is not a glob: {}", error.kind());
                let help = "`*` is anything but `/`, `**` any folders, `?` one character, `[a-z]` a range, `{a,b}` a choice";
                reading.error("pipeline/glob", node.place, message, help);
                None
            }
        }
    }
}

/// A list of globs as plain texts.
pub(crate) fn globs(list: Vec<Glob>) -> Vec<String> {
    list.into_iter().map(|it| it.0).collect()
}

/// A glob for paths of the repository, which begin with neither `/` nor `./`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tracked(pub(crate) String);

impl Read for Tracked {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let Glob(text) = Glob::read(node, label, reading)?;
        let Some(bare) = text.strip_prefix("./").or_else(|| text.strip_prefix('/')) else {
            return Some(Self(text));
        };
        let message = format!("`{text}` matches nothing: paths are relative to the repository");
        reading.error("pipeline/glob", node.place, message, format!("write `{bare}`"));
        None
    }
}

/// Globs for paths of the repository as plain texts.
pub(crate) fn tracked(list: Option<Vec<Tracked>>) -> Vec<String> {
    list.unwrap_or_default().into_iter().map(|it| it.0).collect()
}

/// A path or glob inside the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inside(pub(crate) String);

impl Read for Inside {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let Glob(text) = Glob::read(node, label, reading)?;
        if text.starts_with('/') || text.starts_with('~') {
            let message = format!("{label} must stay inside the workspace, found `{text}`");
            let help = "write a path relative to the workspace, and let a step put the files there";
            reading.error("pipeline/path", node.place, message, help);
            return None;
        }
        stays_inside(&text, label, node, reading).then_some(Self(text))
    }
}

/// A path inside the workspace, or an absolute one in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Anywhere(pub(crate) String);

impl Read for Anywhere {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let Glob(text) = Glob::read(node, label, reading)?;
        if text.starts_with('~') || text.starts_with('$') {
            let message = format!("`{text}` is not expanded by a shell here");
            let help =
                "write the absolute path, such as `/root/.cache`, or one relative to the workspace";
            reading.error("pipeline/path", node.place, message, help);
            return None;
        }
        if text.trim_end_matches('/').is_empty() {
            let message = format!("{label} cannot be the root of the file system");
            reading.error("pipeline/path", node.place, message, "name a folder");
            return None;
        }
        stays_inside(&text, label, node, reading).then_some(Self(text))
    }
}

fn stays_inside(text: &str, label: &str, node: &Node, reading: &Reading) -> bool {
    if text.split('/').any(|part| part == "..") {
        let message = format!("{label} must not contain `..`, found `{text}`");
        let help = "write the path without leaving the workspace";
        reading.error("pipeline/path", node.place, message, help);
        return false;
    }
    true
}

/// Checks the five fields of a cron expression.
pub(crate) fn check_cron(text: &str, node: &Node, reading: &Reading) -> bool {
    use croner::parser::{CronParser, Seconds, Year};
    let fields = text.split_whitespace().count();
    if !text.starts_with('@') && fields != 5 {
        let message = format!("a `cron` has five fields, `{text}` has {fields}");
        let help = "minute hour day month weekday, such as `0 2 * * *`";
        reading.error("pipeline/cron", node.place, message, help);
        return false;
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let error = match parser.parse(text) {
        Ok(_) if never_comes(text) => {
            let message = format!("`{text}` never comes: no such month has so many days");
            let help = "minute hour day month weekday; February has at most 29 days";
            reading.error("pipeline/cron", node.place, message, help);
            return false;
        }
        Ok(_) => return true,
        Err(error) => error,
    };
    let said = error.to_string();
    let said = said.split_once(": ").map_or(said.as_str(), |(_, it)| it).trim_end_matches('.');
    let message = format!("`{text}` is not a `cron`: {said}");
    let help = "minute hour day month weekday, such as `0 2 * * *`";
    reading.error("pipeline/cron", node.place, message, help);
    false
}

/// Whether a day of the month is asked for that none of the months has. Only plain numbers are looked at.
fn never_comes(cron: &str) -> bool {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [_, _, days, months, "*"] = fields.as_slice() else { return false };
    let numbers =
        |list: &str| -> Option<Vec<i64>> { list.split(',').map(|it| it.parse().ok()).collect() };
    let (Some(days), Some(months)) = (numbers(days), numbers(months)) else { return false };
    !months.iter().any(|month| days.iter().any(|day| *day <= longest_month(*month, true)))
}

/// Checks the name of a time zone.
pub(crate) fn check_timezone(text: &str, node: &Node, reading: &Reading) -> bool {
    if text.parse::<chrono_tz::Tz>().is_ok() {
        return true;
    }
    let close = reading.closest(text, chrono_tz::TZ_VARIANTS.iter().map(|it| it.name()));
    let message = format!("`{text}` is not a time zone");
    let help = close.map_or_else(
        || "use a name of the tz database, such as `Europe/Berlin` or `UTC`".to_owned(),
        |it| format!("did you mean `{it}`?"),
    );
    reading.error("pipeline/timezone", node.place, message, help);
    false
}

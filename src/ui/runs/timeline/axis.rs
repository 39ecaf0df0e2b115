//! The axis: round numbers of seconds, minutes, hours or days, few enough to be read.

use crate::model::Milliseconds;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Distances that people count in.
const DISTANCES: &[u64] = &[
    100,
    200,
    500,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
];
/// The most ticks behind the first.
const TICKS_MAX: u64 = 8;
/// Behind this, in percent, a label stands left of its tick.
const ROOM: f64 = 92.0;
/// The narrowest bar, in percent.
pub(super) const NARROWEST: f64 = 0.3;

/// A round number on the axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ui) struct Tick {
    /// Its place in percent.
    pub(in crate::ui) x: String,
    /// What it says.
    pub(in crate::ui) label: String,
    /// Whether it can be left out where there is little room.
    pub(in crate::ui) is_minor: bool,
    /// Whether there is no room for it on its right.
    pub(in crate::ui) is_end: bool,
}

/// The ticks of an axis that is so long; the first is its start.
pub(super) fn ticks(span: Milliseconds) -> Vec<Tick> {
    let fits = |it: &&u64| span.0 / **it <= TICKS_MAX;
    let last = DISTANCES.last().copied().unwrap_or(DAY);
    let distance = DISTANCES.iter().find(fits).copied();
    let distance = distance.unwrap_or_else(|| (span.0 / TICKS_MAX).max(last));
    let count = span.0 / distance;
    (0..=count).map(|it| tick(it, it * distance, span)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a run")]
fn tick(place: u64, at: u64, span: Milliseconds) -> Tick {
    let x = at as f64 * 100.0 / span.0 as f64;
    Tick { x: percent(x), label: label(at), is_minor: place % 2 == 1, is_end: x > ROOM }
}

/// `0`, `0.5 s`, `1 min 30 s`, `2 h`.
fn label(at: u64) -> String {
    let pair = |big: u64, unit: &str, small: u64, small_unit: &str| {
        let rest = if small == 0 { String::new() } else { format!(" {small} {small_unit}") };
        format!("{big} {unit}{rest}")
    };
    match at {
        0 => "0".to_owned(),
        1..SECOND => format!("0.{} s", at / 100),
        SECOND..MINUTE if !at.is_multiple_of(SECOND) => {
            format!("{}.{} s", at / SECOND, at % SECOND / 100)
        }
        SECOND..MINUTE => format!("{} s", at / SECOND),
        MINUTE..HOUR => pair(at / MINUTE, "min", at % MINUTE / SECOND, "s"),
        HOUR..DAY => pair(at / HOUR, "h", at % HOUR / MINUTE, "min"),
        _ => pair(at / DAY, "d", at % DAY / HOUR, "h"),
    }
}

/// `12.345%`.
pub(super) fn percent(value: f64) -> String {
    let text = format!("{value:.3}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

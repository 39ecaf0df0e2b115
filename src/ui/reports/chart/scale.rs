//! Axes: round numbers that lie well apart, and how a number of a unit is written.

/// Larger numbers are drawn as this one, so that differences stay finite.
const LARGEST: f64 = 1e15;
/// Lines across that are aimed at.
const TICKS: f64 = 4.0;
/// Steps of an axis of time, in milliseconds.
const TIME_STEPS: [f64; 21] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3,
    120e3, 300e3, 600e3, 900e3, 1_800e3,
];
const HOUR: f64 = 3_600e3;

/// What numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ui) enum Unit {
    /// Milliseconds.
    Time,
    /// Parts of one, shown as percent.
    Share,
    /// US dollars.
    Usd,
    /// Things.
    Count,
    /// Anything.
    Number,
}

impl Unit {
    /// What a metric counts, as its name says.
    pub(in crate::ui) fn of(metric: &str) -> Self {
        if metric.ends_with("_ms") {
            Self::Time
        } else if metric.ends_with("_usd") {
            Self::Usd
        } else {
            Self::Number
        }
    }

    /// A number as people read it.
    pub(in crate::ui) fn text(self, value: f64) -> String {
        match self {
            Self::Time => time(value),
            Self::Share => format!("{} %", rounded(value * 100.0)),
            Self::Usd => format!("{} USD", rounded(value)),
            Self::Count | Self::Number => rounded(value),
        }
    }

    /// The same where there is little room: `$12.5k`, `3M`.
    pub(super) fn short(self, value: f64) -> String {
        let scaled = |value: f64| match value.abs() {
            it if it < 10e3 => rounded(value),
            it if it < 1e6 => format!("{}k", rounded(value / 1e3)),
            it if it < 1e9 => format!("{}M", rounded(value / 1e6)),
            it if it < 1e12 => format!("{}G", rounded(value / 1e9)),
            _ => format!("{value:.0e}"),
        };
        match self {
            Self::Usd if value < 0.0 => format!("−${}", scaled(-value)),
            Self::Usd => format!("${}", scaled(value)),
            Self::Count | Self::Number => scaled(value),
            Self::Time | Self::Share => self.text(value),
        }
    }

    fn step(self, span: f64) -> f64 {
        let wanted = span / TICKS;
        let step = match self {
            Self::Time if wanted <= HOUR / 2.0 => {
                TIME_STEPS.into_iter().find(|it| *it >= wanted).unwrap_or(HOUR)
            }
            Self::Time => HOUR * round_step(wanted / HOUR),
            Self::Share | Self::Usd | Self::Number | Self::Count => round_step(wanted),
        };
        if self == Self::Count { step.max(1.0) } else { step }
    }
}

/// 1, 2 or 5 times a power of ten, not below what is wanted.
fn round_step(wanted: f64) -> f64 {
    let power = 10f64.powf(wanted.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|it| it * power)
        .find(|it| *it >= wanted)
        .unwrap_or(10.0 * power)
}

/// Three digits that count, and no more than are needed.
fn rounded(value: f64) -> String {
    let size = value.abs();
    let digits = match size {
        _ if size == 0.0 || size >= 100.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 1.0 => 2,
        _ if size >= 0.01 => 4,
        _ if size >= 0.000_001 => 6,
        _ => return format!("{value:.1e}"),
    };
    let text = format!("{value:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn time(ms: f64) -> String {
    let (value, unit) = match ms.abs() {
        it if it < 1e3 => (ms, "ms"),
        it if it < 60e3 => (ms / 1e3, "s"),
        it if it < HOUR => (ms / 60e3, "min"),
        _ => (ms / HOUR, "h"),
    };
    format!("{} {unit}", rounded(value))
}

/// A number that can be drawn, if it is one.
pub(super) fn drawable(value: f64) -> Option<f64> {
    value.is_finite().then(|| value.clamp(-LARGEST, LARGEST))
}

/// An axis: from where to where, and what is written at it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<f64>,
}

impl Axis {
    /// For values that lie between `low` and `high`, both drawable.
    pub(super) fn new(unit: Unit, low: f64, high: f64) -> Self {
        let (low, high) = if low <= high { (low, high) } else { (high, low) };
        // One value needs room around it.
        let (low, high) = match high - low {
            0.0 if low == 0.0 => (0.0, if unit == Unit::Time { 1e3 } else { 1.0 }),
            0.0 => (low - low.abs() * 0.1, high + high.abs() * 0.1),
            _ => (low, high),
        };
        let step = unit.step((high - low).max(1e-12));
        let first = (low / step).floor();
        let last = (high / step).ceil().min(first + 12.0);
        let mut ticks = Vec::new();
        let mut at = first;
        while at <= last {
            ticks.push(at * step);
            at += 1.0;
        }
        Self { low: (first * step).min(low), high: (last * step).max(high), ticks }
    }

    /// Where a value lies between both ends, from 0 to 1.
    pub(super) fn part(&self, value: f64) -> f64 {
        let part = (value - self.low) / (self.high - self.low);
        if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
    }
}

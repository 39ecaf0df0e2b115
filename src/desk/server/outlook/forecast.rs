//! What will be spent until the end of a period, by what was spent before. Pure.
//!
//! The past is a row of complete spans of one length, such as days. Zeros before the first use are left out. With
//! at least two whole *cycles* (weeks of days, days of hours) only whole cycles count, and the k-th span of a cycle
//! has a factor `f_k`: its mean, divided by the mean of all. Through `y_i / f_k` of the `n` spans goes the line with
//! the least squares; its slope `b` counts from seven spans on. The h-th span from now is expected to bring
//!
//! `max(0, (L + b * (0.9 + 0.9^2 + … + 0.9^h)) * f_k)`, where `L` is the line's value at the last span.
//!
//! Without a slope `L` is the mean. A trend that goes on for ever is believed by nobody, so it fades (a damped
//! trend: Gardner, 1985). Of the present span counts what is left of it. The range is 1.28 standard deviations of
//! what spans were off before, times the root of the spans to come: four of five such periods would end in it, were
//! spans independent.

/// Spans without which nothing is said.
pub const SPANS_MIN: usize = 3;
/// Spans from which on a trend counts.
const TREND_MIN: usize = 7;
/// What is left of a trend from span to span.
const FADE: f64 = 0.9;
/// Standard deviations to both sides, between which lie four of five.
const DEVIATIONS: f64 = 1.28;

/// How much is spent in a span, and how that changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    /// Expected of the last span that was complete.
    level: f64,
    /// What it grows by from span to span.
    slope: f64,
    /// Of each span of a cycle, from the first that is to come.
    factors: Vec<f64>,
    /// How far a span is from what was expected of it.
    deviation: f64,
    /// Spans that were looked at.
    pub spans: usize,
}

/// What is still to come of a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rest {
    /// How much of the present span is left, from 0 to 1.
    pub of_present: f64,
    /// Spans after it.
    pub spans: usize,
}

/// What a period will have spent at its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Most likely.
    pub total: f64,
    /// In four of five cases not less than this.
    pub low: f64,
    /// In four of five cases not more than this.
    pub high: f64,
}

impl Pace {
    /// Of complete spans, oldest first, the last of which ended when the present one began; a cycle has so many of
    /// them (1: there is none). `None` when too little is known.
    #[must_use]
    pub fn of(spans: &[f64], cycle: usize) -> Option<Self> {
        let first = spans.iter().position(|it| *it > 0.0)?;
        let spans = spans.get(first..)?;
        if spans.len() < SPANS_MIN {
            return None;
        }
        let cycle = cycle.max(1);
        let is_cyclic = cycle > 1 && spans.len() >= 2 * cycle;
        let kept = if is_cyclic { spans.len() / cycle * cycle } else { spans.len() };
        let spans = spans.get(spans.len() - kept..)?;
        let factors = if is_cyclic { factors(spans, cycle) } else { vec![1.0] };
        let factor = |place: usize| factors.get(place % factors.len()).copied().unwrap_or(1.0);
        let mean = mean(spans.iter().copied());
        let level_of = |(place, it): (usize, &f64)| {
            let factor = factor(place);
            if factor > 0.0 { it / factor } else { mean }
        };
        let levels: Vec<f64> = spans.iter().enumerate().map(level_of).collect();
        let (middle, slope) = line(&levels);
        let slope = if levels.len() >= TREND_MIN { slope } else { 0.0 };
        let half = float(levels.len() - 1) / 2.0;
        let expected = |place: usize| (middle + slope * (float(place) - half)) * factor(place);
        let off = spans.iter().enumerate().map(|(place, it)| (it - expected(place)).powi(2));
        let free = float(spans.len().saturating_sub(2).max(1));
        let deviation = (off.sum::<f64>() / free).sqrt();
        Some(Self { level: middle + slope * half, slope, factors, deviation, spans: spans.len() })
    }

    /// What the span brings that is the `number`-th from now: 0 is the present one.
    fn span(&self, number: usize) -> f64 {
        let steps = i32::try_from(number + 1).unwrap_or(i32::MAX);
        let grown = self.slope * FADE * (1.0 - FADE.powi(steps)) / (1.0 - FADE);
        let factor = self.factors.get(number % self.factors.len().max(1)).copied();
        ((self.level + grown) * factor.unwrap_or(1.0)).max(0.0)
    }

    /// What a period will have spent that has spent so much.
    #[must_use]
    pub fn forecast(&self, spent: f64, rest: Rest) -> Forecast {
        let of_present = rest.of_present.clamp(0.0, 1.0);
        let coming = (1..=rest.spans).map(|it| self.span(it)).sum::<f64>();
        let total = spent + self.span(0) * of_present + coming;
        let range = DEVIATIONS * self.deviation * (of_present + float(rest.spans)).sqrt();
        Forecast { total, low: (total - range).max(spent), high: total + range }
    }

    /// What will have been spent at the end of each span from the present one on.
    #[must_use]
    pub fn path(&self, spent: f64, rest: Rest) -> Vec<f64> {
        let mut sum = spent;
        let of_present = rest.of_present.clamp(0.0, 1.0);
        let share = |it: usize| if it == 0 { of_present } else { 1.0 };
        let spans = (0..=rest.spans).map(|it| {
            sum += self.span(it) * share(it);
            sum
        });
        spans.collect()
    }

    /// After how many spans from now `room` will be used up; `None` when that is not before the end.
    #[must_use]
    pub fn used_up_after(&self, room: f64, rest: Rest) -> Option<f64> {
        if room <= 0.0 {
            return Some(0.0);
        }
        let of_present = rest.of_present.clamp(0.0, 1.0);
        let (mut room, mut after) = (room, 0.0);
        for number in 0..=rest.spans {
            let length = if number == 0 { of_present } else { 1.0 };
            let brings = self.span(number) * length;
            if brings > 0.0 && brings >= room {
                return Some(after + length * (room / brings));
            }
            room -= brings;
            after += length;
        }
        None
    }
}

/// How the spans of a cycle differ, from its first on; `spans` are whole cycles.
fn factors(spans: &[f64], cycle: usize) -> Vec<f64> {
    let all = mean(spans.iter().copied());
    let of = |place: usize| mean(spans.iter().skip(place).step_by(cycle).copied());
    (0..cycle).map(|it| if all > 0.0 { of(it) / all } else { 1.0 }).collect()
}

/// The line with the least squares: its value in the middle, and its slope.
fn line(values: &[f64]) -> (f64, f64) {
    let middle = mean(values.iter().copied());
    let half = float(values.len().saturating_sub(1)) / 2.0;
    let (mut product, mut square) = (0.0, 0.0);
    for (place, value) in values.iter().enumerate() {
        let x = float(place) - half;
        product += x * (value - middle);
        square += x * x;
    }
    (middle, if square > 0.0 { product / square } else { 0.0 })
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = float(values.len().max(1));
    values.sum::<f64>() / count
}

/// Spans are few.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn float(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;

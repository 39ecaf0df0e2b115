//! Small lines beside numbers.

use std::fmt::Write as _;

use super::{POINTS_MAX, escaped, scale};

pub(super) const WIDTH: f64 = 120.0;
pub(super) const HEIGHT: f64 = 28.0;
const EDGE: f64 = 3.0;

/// A line without axes; `told` says what is to be seen. Nothing where there is no value.
pub(in crate::ui) fn sparkline(
    told: &str,
    values: &[Option<f64>],
    threshold: Option<f64>,
) -> String {
    let first = values.len().saturating_sub(POINTS_MAX);
    let values: Vec<_> = values
        .get(first..)
        .unwrap_or_default()
        .iter()
        .map(|it| it.and_then(scale::drawable))
        .collect();
    let threshold = threshold.and_then(scale::drawable);
    let known = || values.iter().flatten().copied();
    let Some(last) = values.iter().rposition(Option::is_some) else { return String::new() };
    let low = known().chain(threshold).fold(f64::INFINITY, f64::min);
    let high = known().chain(threshold).fold(f64::NEG_INFINITY, f64::max);
    let y = |value: f64| {
        let part = (value - low) / (high - low);
        let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.5 };
        HEIGHT - EDGE - part * (HEIGHT - 2.0 * EDGE)
    };
    let steps = values.len().saturating_sub(1);
    let x = |place: usize| {
        let part = if steps == 0 { 1.0 } else { float(place) / float(steps) };
        EDGE + part * (WIDTH - 2.0 * EDGE)
    };
    let mut svg = format!(
        "<svg class=\"spark\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{}</title>",
        escaped(told)
    );
    if let Some(at) = threshold {
        let end = WIDTH - EDGE;
        let _ = write!(svg, "<path class=\"limit\" d=\"M{EDGE} {:.1}H{end:.1}\"/>", y(at));
    }
    svg.push_str("<path class=\"trace\" d=\"");
    let mut is_drawn = false;
    for (place, value) in values.iter().enumerate() {
        if let Some(value) = value {
            let word = if is_drawn { 'L' } else { 'M' };
            let _ = write!(svg, "{word}{:.1} {:.1}", x(place), y(*value));
        }
        is_drawn = value.is_some();
    }
    svg.push_str("\"/>");
    if let Some(value) = values.get(last).copied().flatten() {
        let _ = write!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\"/>", x(last), y(value));
    }
    svg.push_str("</svg>");
    svg
}

/// Counts of points are small.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn float(number: usize) -> f64 {
    number as f64
}

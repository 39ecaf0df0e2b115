//! The picture of a chart.

use std::fmt::Write as _;

use super::scale::Axis;
use super::{Chart, Kind, escaped};

/// The picture in its own units; the style sheet says how large they are.
pub(super) const WIDTH: f64 = 480.0;
pub(super) const HEIGHT: f64 = 200.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
/// Columns that have a name below them.
const NAMES_MAX: usize = 4;
/// With more columns only lone points have a dot.
const DOTS_MAX: usize = 45;

/// Where things go.
struct Frame<'a> {
    chart: &'a Chart,
    axis: Axis,
}

/// Draws a chart that has at least one value.
pub(super) fn draw(html: &mut String, chart: &Chart, id: &str) {
    let (low, high) = range(chart);
    let frame = Frame { chart, axis: Axis::new(chart.unit, low, high) };
    let _ = write!(
        html,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\
         <title id=\"{id}-title\">{}</title><desc id=\"{id}-desc\">{}</desc>",
        escaped(&chart.title),
        escaped(&chart.summary)
    );
    frame.push_grid(html);
    match chart.kind {
        Kind::Lines | Kind::Detail => frame.push_lines(html),
        Kind::Bars => frame.push_bars(html),
        Kind::Stacked => frame.push_stack(html),
    }
    frame.push_threshold(html);
    frame.push_hints(html);
    html.push_str("</svg>");
}

/// The least and the largest that is drawn.
fn range(chart: &Chart) -> (f64, f64) {
    let columns = 0..chart.labels.len();
    let value = |series: &super::Series, at: usize| series.values.get(at).copied().flatten();
    let mut low = f64::INFINITY;
    let mut high = f64::NEG_INFINITY;
    for at in columns {
        let values = || chart.series.iter().filter_map(|it| value(it, at));
        if chart.kind == Kind::Stacked {
            let sum: f64 = values().map(|it| it.max(0.0)).sum();
            high = high.max(sum);
        } else {
            low = values().fold(low, f64::min);
            high = values().fold(high, f64::max);
        }
    }
    if let Some((_, at)) = &chart.threshold {
        low = low.min(*at);
        high = high.max(*at);
    }
    if chart.kind == Kind::Detail {
        return (low, high);
    }
    (low.min(0.0), high.max(0.0))
}

impl Frame<'_> {
    fn columns(&self) -> usize {
        self.chart.labels.len().max(1)
    }

    /// The width of a column.
    fn step(&self) -> f64 {
        (WIDTH - LEFT - RIGHT) / float(self.columns())
    }

    /// The middle of a column.
    fn x(&self, place: usize) -> f64 {
        LEFT + (float(place) + 0.5) * self.step()
    }

    fn y(&self, value: f64) -> f64 {
        let bottom = HEIGHT - BOTTOM;
        bottom - self.axis.part(value) * (bottom - TOP)
    }

    fn push_grid(&self, html: &mut String) {
        html.push_str("<g class=\"axis\">");
        for tick in &self.axis.ticks {
            let y = self.y(*tick);
            let _ = write!(html, "<path d=\"M{LEFT} {y:.1}H{:.1}\"/>", WIDTH - RIGHT);
            let text = escaped(&self.chart.unit.short(*tick));
            let _ = write!(
                html,
                "<text x=\"{:.1}\" y=\"{y:.1}\" dy=\".32em\" text-anchor=\"end\">{text}</text>",
                LEFT - 6.0
            );
        }
        let last = self.columns() - 1;
        let names = NAMES_MAX.min(last + 1);
        let mut named = Vec::new();
        for nth in 0..names {
            named.push(if names == 1 { 0 } else { nth * last / (names - 1) });
        }
        for place in named {
            let Some(label) = self.chart.labels.get(place) else { continue };
            let anchor = match place {
                0 if last > 0 => "start",
                it if it == last && last > 0 => "end",
                _ => "middle",
            };
            let x = match anchor {
                "start" => LEFT,
                "end" => WIDTH - RIGHT,
                _ => self.x(place),
            };
            let _ = write!(
                html,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                HEIGHT - 8.0,
                escaped(label)
            );
        }
        html.push_str("</g>");
    }

    fn push_lines(&self, html: &mut String) {
        for (series, number) in self.chart.series.iter().zip(1..) {
            let class = series.class(number);
            let _ = write!(html, "<g class=\"curve {class}\"><path d=\"");
            let mut is_drawn = false;
            for (place, value) in series.values.iter().enumerate() {
                if let Some(value) = value {
                    let word = if is_drawn { 'L' } else { 'M' };
                    let _ = write!(html, "{word}{:.1} {:.1}", self.x(place), self.y(*value));
                }
                is_drawn = value.is_some();
            }
            html.push_str("\"/>");
            let value = |it: usize| series.values.get(it).copied().flatten();
            for (place, it) in series.values.iter().enumerate() {
                let Some(it) = it else { continue };
                let has_before = place.checked_sub(1).and_then(value).is_some();
                let is_lone = !has_before && value(place + 1).is_none();
                if is_lone || self.columns() <= DOTS_MAX {
                    let (x, y) = (self.x(place), self.y(*it));
                    let _ = write!(html, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>");
                }
            }
            html.push_str("</g>");
        }
    }

    fn push_bars(&self, html: &mut String) {
        let count = float(self.chart.series.len().max(1));
        let width = self.step() * 0.8 / count;
        for ((series, number), nth) in self.chart.series.iter().zip(1..).zip(0..) {
            let _ = write!(html, "<g class=\"bar {}\">", series.class(number));
            for (place, value) in series.values.iter().enumerate() {
                let Some(value) = value else { continue };
                let x = self.x(place) - self.step() * 0.4 + float(nth) * width;
                self.push_bar(html, (x, width), (0.0, *value));
            }
            html.push_str("</g>");
        }
    }

    fn push_stack(&self, html: &mut String) {
        let width = self.step() * 0.8;
        let mut below = vec![0.0; self.columns()];
        for (series, number) in self.chart.series.iter().zip(1..) {
            let _ = write!(html, "<g class=\"bar {}\">", series.class(number));
            for ((place, value), below) in series.values.iter().enumerate().zip(&mut below) {
                let value = value.unwrap_or(0.0).max(0.0);
                if value > 0.0 {
                    let x = self.x(place) - width / 2.0;
                    self.push_bar(html, (x, width), (*below, *below + value));
                }
                *below += value;
            }
            html.push_str("</g>");
        }
    }

    fn push_bar(&self, html: &mut String, (x, width): (f64, f64), (from, to): (f64, f64)) {
        let (a, b) = (self.y(from), self.y(to));
        let (top, height) = (a.min(b), (a - b).abs());
        let _ = write!(
            html,
            "<rect x=\"{x:.2}\" y=\"{top:.2}\" width=\"{width:.2}\" height=\"{height:.2}\"/>"
        );
    }

    fn push_threshold(&self, html: &mut String) {
        if let Some((_, at)) = &self.chart.threshold {
            let y = self.y(*at);
            let end = WIDTH - RIGHT;
            let _ = write!(html, "<path class=\"limit\" d=\"M{LEFT} {y:.1}H{end:.1}\"/>");
        }
    }

    /// What the pointer is told over a column.
    fn push_hints(&self, html: &mut String) {
        html.push_str("<g class=\"hints\">");
        let height = HEIGHT - BOTTOM - TOP;
        for (place, label) in self.chart.labels.iter().enumerate() {
            let mut text = label.clone();
            for series in &self.chart.series {
                if let Some(value) = series.values.get(place).copied().flatten() {
                    let _ = write!(text, "\n{}: {}", series.name, self.chart.unit.text(value));
                }
            }
            let lines: Vec<_> = text.split('\n').map(escaped).collect();
            let (x, width) = (LEFT + float(place) * self.step(), self.step());
            let _ = write!(
                html,
                "<rect x=\"{x:.2}\" y=\"{TOP}\" width=\"{width:.2}\" height=\"{height:.1}\"><title>{}</title></rect>",
                lines.join("\n")
            );
        }
        html.push_str("</g>");
    }
}

/// Counts of columns are small.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn float(number: usize) -> f64 {
    number as f64
}

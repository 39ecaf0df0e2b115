//! Spans over time: the rows of a tree, with bars on an axis. Pure.

use std::collections::BTreeSet;

use super::milliseconds;
use crate::desk::server::traces::{SpanView, TreeView};

/// The most ticks behind the first.
const TICKS_MAX: i64 = 6;
/// The narrowest bar, in percent.
const NARROWEST: f64 = 0.3;
/// Behind this, in percent, a label stands left of its tick.
const ROOM: f64 = 92.0;
/// Levels of a tree that are told apart.
const DEPTH_MAX: usize = 6;

/// All spans of a trace.
#[derive(Debug)]
pub(super) struct Waterfall {
    pub(super) ticks: Vec<Tick>,
    pub(super) rows: Vec<Row>,
}

/// A round number on the axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tick {
    pub(super) x: String,
    pub(super) label: String,
    pub(super) is_end: bool,
}

/// One span.
#[derive(Debug)]
pub(super) struct Row {
    /// Its place among the spans of the tree.
    pub(super) span: usize,
    pub(super) depth: usize,
    pub(super) name: String,
    /// What it stands for and who has sent it, of a span of an app.
    pub(super) of: String,
    pub(super) is_failed: bool,
    pub(super) bars: Vec<Bar>,
    pub(super) took: String,
    pub(super) tokens: String,
    pub(super) cost: String,
}

/// A part of a span, with its place on the axis in percent.
#[derive(Debug, PartialEq)]
pub(super) struct Bar {
    pub(super) x: String,
    pub(super) width: String,
    pub(super) class: &'static str,
    pub(super) title: String,
}

impl Waterfall {
    pub(super) fn of(tree: &TreeView) -> Self {
        let began = tree.spans.iter().map(|it| it.at_us).min().unwrap_or_default();
        let ended = tree.spans.iter().map(|it| it.at_us.saturating_add(it.took_us)).max();
        let span = ended.unwrap_or_default().saturating_sub(began).max(1);
        let scale = Scale { began, span };
        let mut rows = Vec::new();
        for (place, depth) in in_order(&tree.spans) {
            rows.extend(tree.spans.get(place).map(|it| row(tree, &scale, (place, depth, it))));
        }
        Self { ticks: scale.ticks(), rows }
    }
}

/// Each span below the one that it is part of, by their beginnings.
fn in_order(spans: &[SpanView]) -> Vec<(usize, usize)> {
    let known: BTreeSet<_> = spans.iter().map(|it| it.span.as_str()).collect();
    let children = |parent: Option<&str>| {
        let is_child = |it: &SpanView| match parent {
            Some(parent) => it.parent == parent,
            None => !known.contains(it.parent.as_str()),
        };
        let found = spans.iter().enumerate().filter(|it| is_child(it.1));
        let mut places: Vec<_> = found.map(|it| it.0).collect();
        places.sort_by_key(|it| spans.get(*it).map(|it| it.at_us));
        places.reverse();
        places
    };
    let mut waiting: Vec<_> = children(None).into_iter().map(|it| (it, 0)).collect();
    let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
    while let Some((place, depth)) = waiting.pop() {
        if !seen.insert(place) {
            continue;
        }
        order.push((place, depth));
        let below = spans.get(place).map(|it| children(Some(&it.span))).unwrap_or_default();
        waiting.extend(below.into_iter().map(|it| (it, depth + 1)));
    }
    order
}

fn row(tree: &TreeView, scale: &Scale, (place, depth, span): (usize, usize, &SpanView)) -> Row {
    let is_failed = span.status == "error";
    let of = format!("{} {}", span.operation, span.service).trim().to_owned();
    let id = word(span, "trunkline.request.id");
    let call = tree.calls.iter().find(|it| !id.is_empty() && it.id == id);
    let end = span.at_us.saturating_add(span.took_us);
    let class = if is_failed { "failed" } else { "passed" };
    let name = name(span);
    let took = took(span.took_us);
    let mut bars = vec![scale.bar((span.at_us, end), class, format!("{name}: {took}"))];
    if call.is_none()
        && let Some(seconds) = span
            .attributes
            .get("gen_ai.response.time_to_first_chunk")
            .and_then(serde_json::Value::as_f64)
    {
        #[expect(clippy::cast_possible_truncation, reason = "a call is far shorter than 2^63 us")]
        let first = span.at_us.saturating_add((seconds * 1e6) as i64).min(end);
        let title = format!("until the first token: {}", self::took(first - span.at_us));
        bars.push(scale.bar((span.at_us, first), "queue", title));
    }
    let number = |name| span.attributes.get(name).and_then(serde_json::Value::as_i64);
    let used = (number("gen_ai.usage.input_tokens"), number("gen_ai.usage.output_tokens"));
    let tokens = match (call, used) {
        (Some(call), _) => format!("{}+{}", call.input_tokens, call.output_tokens),
        (None, (None, None)) => String::new(),
        (None, (input, output)) => {
            format!("{}+{}", input.unwrap_or_default(), output.unwrap_or_default())
        }
    };
    let cost = call.map_or_else(|| word(span, "trunkline.cost_usd"), |it| it.cost_usd.clone());
    let depth = depth.min(DEPTH_MAX);
    Row { span: place, depth, name, of, is_failed, bars, took, tokens, cost }
}

/// `#2 openai chat gpt`.
fn name(span: &SpanView) -> String {
    let (attempt, provider) = (word(span, "trunkline.attempt"), word(span, "gen_ai.provider.name"));
    if attempt.is_empty() || span.is_of_app() {
        return span.name.clone();
    }
    format!("#{attempt} {provider}")
}

pub(super) fn word(span: &SpanView, name: &str) -> String {
    match span.attributes.get(name) {
        None => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

pub(super) fn took(us: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a call is far shorter than 2^53 us")]
    let ms = us as f64 / 1000.0;
    milliseconds(ms)
}

/// From moments to percent of the axis.
struct Scale {
    began: i64,
    span: i64,
}

impl Scale {
    fn bar(&self, (from, to): (i64, i64), class: &'static str, title: String) -> Bar {
        let x = self.percent(from - self.began).min(100.0 - NARROWEST);
        let width = (self.percent(to - self.began) - x).max(NARROWEST);
        Bar { x: percent(x), width: percent(width), class, title }
    }

    #[expect(clippy::cast_precision_loss, reason = "a trace is far shorter than 2^53 us")]
    fn percent(&self, at: i64) -> f64 {
        (at as f64 * 100.0 / self.span as f64).clamp(0.0, 100.0)
    }

    /// Round numbers, few enough to be read.
    fn ticks(&self) -> Vec<Tick> {
        let mut distance = 100;
        let mut steps = [2, 5, 10].iter().cycle();
        let mut unit = distance;
        while self.span / distance > TICKS_MAX {
            let step = steps.next().copied().unwrap_or(10);
            distance = unit * step;
            if step == 10 {
                unit = distance;
            }
        }
        let tick = |place: i64| {
            let x = self.percent(place * distance);
            let label = if place == 0 { "0".to_owned() } else { label(place * distance) };
            Tick { x: percent(x), label, is_end: x > ROOM }
        };
        (0..=self.span / distance).map(tick).collect()
    }
}

/// `0.5 ms`, `20 ms`, `1.5 s`.
fn label(us: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a trace is far shorter than 2^53 us")]
    let ms = us as f64 / 1000.0;
    if ms < 1000.0 { format!("{ms} ms") } else { format!("{} s", ms / 1000.0) }
}

/// `12.345%`.
fn percent(value: f64) -> String {
    let text = format!("{value:.3}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: &str, at_us: i64, took_us: i64) -> SpanView {
        SpanView {
            id: String::new(),
            service: String::new(),
            operation: String::new(),
            resource: serde_json::Map::new(),
            span: id.to_owned(),
            parent: parent.to_owned(),
            name: id.to_owned(),
            kind: "internal".to_owned(),
            at_us,
            took_us,
            status: "ok".to_owned(),
            message: String::new(),
            attributes: serde_json::Map::new(),
            events: Vec::new(),
        }
    }

    fn waterfall(spans: Vec<SpanView>) -> Waterfall {
        let (trace, calls, contents) =
            (String::new(), Vec::new(), std::collections::BTreeMap::new());
        Waterfall::of(&TreeView { trace, calls, is_cut: false, spans, contents })
    }

    #[test]
    fn spans_stand_below_what_they_are_part_of_and_none_is_lost() {
        let drawn = waterfall(vec![
            span("b", "elsewhere", 2_000, 8_000),
            span("b2", "b", 6_000, 4_000),
            span("a", "", 0, 1_000),
            span("b1", "b", 3_000, 1_000),
            span("b11", "b1", 3_000, 10),
        ]);
        let names: Vec<_> =
            drawn.rows.iter().map(|it| format!("{}{}", "-".repeat(it.depth), it.name)).collect();
        assert_eq!(names, ["a", "b", "-b1", "--b11", "-b2"]);
        let bars: Vec<_> =
            drawn.rows.iter().map(|it| format!("{} {}", it.bars[0].x, it.bars[0].width)).collect();
        assert_eq!(bars, ["0% 10%", "20% 80%", "30% 10%", "30% 0.3%", "60% 40%"]);
        let labels: Vec<_> = drawn.ticks.iter().map(|it| it.label.as_str()).collect();
        assert_eq!(labels, ["0", "2 ms", "4 ms", "6 ms", "8 ms", "10 ms"]);
        assert!(drawn.ticks[5].is_end && !drawn.ticks[4].is_end);
    }

    #[test]
    fn a_circle_of_spans_ends() {
        let drawn =
            waterfall(vec![span("a", "b", 0, 1), span("b", "a", 0, 1), span("c", "", 0, 1)]);
        assert_eq!(drawn.rows.len(), 1, "those that lead to nobody are not drawn");
        assert_eq!(waterfall(Vec::new()).rows.len(), 0);
    }
}

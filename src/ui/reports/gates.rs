//! Gates with their trends. Pure.

use crate::desk::reports::trends::{GatePoint, GateTrend};
use crate::runs::view::{GateView, RunView};
use crate::ui::reports::chart::{Chart, Kind, Series, Tone, Unit, sparkline};

/// A gate of a run.
#[derive(Debug, Clone)]
pub(super) struct SeenGate {
    pub(super) stage_key: String,
    pub(super) metric: String,
    pub(super) comparison: String,
    /// The value, or what there is in its place.
    pub(super) value: String,
    pub(super) baseline: String,
    pub(super) passed: bool,
    /// A small line over the runs before.
    pub(super) spark: String,
}

/// The gates of stages that got as far as being judged, those that were missed first.
pub(super) fn of_run(view: &RunView, trends: &[GateTrend]) -> Vec<SeenGate> {
    let judged = view.stages.iter().filter(|it| it.outcome().is_some());
    let gates = judged.flat_map(|stage| stage.gates.iter().map(|it| (stage.key.as_str(), it)));
    let mut seen: Vec<_> = gates
        .map(|(key, gate)| {
            let same = |it: &&GateTrend| {
                (&*it.pipeline, &*it.stage_key, &*it.metric)
                    == (&*view.pipeline, key, &*gate.metric)
            };
            seen_gate(key, gate, trends.iter().find(same))
        })
        .collect();
    seen.sort_by_key(|it| it.passed);
    seen
}

fn seen_gate(key: &str, gate: &GateView, trend: Option<&GateTrend>) -> SeenGate {
    let unit = Unit::of(&gate.metric);
    let text = |it: Option<f64>| it.map(|it| unit.text(it));
    SeenGate {
        stage_key: key.to_owned(),
        metric: gate.metric.clone(),
        comparison: gate.comparison.clone(),
        value: text(gate.value).unwrap_or_else(|| "not published".to_owned()),
        baseline: text(gate.baseline).unwrap_or_else(|| "–".to_owned()),
        passed: gate.passed,
        spark: trend.map(spark_of).unwrap_or_default(),
    }
}

fn spark_of(trend: &GateTrend) -> String {
    let values: Vec<_> = trend.points.iter().map(|it| it.value).collect();
    let threshold = trend.points.iter().rev().find_map(|it| it.threshold);
    let unit = Unit::of(&trend.metric);
    let known = || values.iter().flatten().copied();
    let low = unit.text(known().fold(f64::INFINITY, f64::min));
    let high = unit.text(known().fold(f64::NEG_INFINITY, f64::max));
    let count = known().count();
    let told = format!("{} over {count} runs: from {low} to {high}", trend.metric);
    sparkline(&told, &values, threshold)
}

/// A chart of a gate over runs; nothing where it has no values.
pub(super) fn chart(trend: &GateTrend, place: usize) -> Chart {
    let column =
        |it: fn(&GatePoint) -> Option<f64>| trend.points.iter().map(it).collect::<Vec<_>>();
    let mut series = vec![Series::new(&trend.metric, column(|it| it.value))];
    let limits = column(|it| it.threshold);
    let newest = limits.iter().rev().flatten().next().copied();
    let is_constant = limits.iter().flatten().all(|it| Some(*it) == newest);
    if trend.comparison.contains("baseline") {
        series.push(Series::new("baseline", column(|it| it.baseline)));
    }
    if !is_constant {
        series.push(Series::new("threshold", limits).in_tone(Tone::Bad));
    }
    let missed = trend.points.iter().filter(|it| it.passed == Some(false)).count();
    let runs = trend.points.len();
    Chart {
        id: format!("gate-{place}"),
        title: format!("{}: {} {}", trend.stage_key, trend.metric, trend.comparison),
        summary: format!("{runs} runs, {missed} of them missed the gate"),
        kind: Kind::Detail,
        unit: Unit::of(&trend.metric),
        over: "Run".to_owned(),
        labels: trend.points.iter().map(|it| format!("#{}", it.number)).collect(),
        series,
        threshold: newest.filter(|_| is_constant).map(|it| ("threshold".to_owned(), it)),
    }
}

//! `rollout`: how a release goes into an environment, step by step.

use super::super::fields::{Fields, Read, choice, items};
use super::super::measure::Positive;
use super::super::occurrence;
use super::super::scalar::{Plain, whole};
use super::policy::{is_metric, read_comparison};
use crate::model::Milliseconds;
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::Node;

pub(crate) const KEYS: &[&str] =
    &["strategy", "steps", "analysis", "min_requests", "on_no_data", "on_fail"];
pub(crate) const STEP_KEYS: &[&str] = &["weight", "hold"];
pub(crate) const ANALYSIS_KEYS: &[&str] = &["metric", "fail", "every", "limit"];

/// A checked `rollout`, as the stage that carries it out will read it.
#[derive(Debug, Clone)]
pub(crate) struct Rollout(pub(crate) serde_json::Value);

impl Read for Rollout {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        const STRATEGIES: &[(&str, bool)] = &[("canary", true), ("blue_green", false)];
        const ON_NO_DATA: &[(&str, ())] = &[("pause", ()), ("continue", ()), ("rollback", ())];
        const ON_FAIL: &[(&str, ())] = &[("rollback", ()), ("pause", ())];
        let fields = Fields::of(node, label, KEYS, reading)?;
        fields.require::<Plain>("strategy", "canary");
        let strategy = fields.find("strategy");
        let is_canary = strategy.and_then(|it| choice(it, "`strategy`", STRATEGIES, reading));
        let steps = fields.read_or("steps", Vec::<Step>::new());
        check_steps(&fields, &steps, is_canary, reading);
        fields.read::<Vec<Analysis>>("analysis");
        if let Some(node) = fields.find("min_requests") {
            whole(node, "`min_requests`", 0..=i64::MAX, reading);
        }
        if let Some(node) = fields.find("on_no_data") {
            choice(node, "`on_no_data`", ON_NO_DATA, reading);
        }
        if let Some(node) = fields.find("on_fail") {
            choice(node, "`on_fail`", ON_FAIL, reading);
        }
        Some(Self(node.to_json()))
    }
}

fn check_steps(fields: &Fields<'_>, steps: &[Step], is_canary: Option<bool>, reading: &Reading) {
    let Some(node) = fields.find("steps") else {
        if is_canary == Some(true) {
            let message = "a canary has no `steps`";
            let help = "add them, such as `steps: [{ weight: 10, hold: 45m }, { weight: 100 }]`";
            reading.error("pipeline/missing-key", fields.place, message, help);
        }
        return;
    };
    let weights: Vec<i64> = steps.iter().map(|it| it.weight).collect();
    if weights.windows(2).any(|pair| pair.first() >= pair.last()) {
        let message = format!("the weights of the steps must grow, found {weights:?}");
        reading.error("pipeline/rollout", node.place, message, "order them from small to large");
    } else if weights.len() == items(node).len() && weights.last().is_some_and(|it| *it != 100) {
        // A step that cannot be read has been told, and may be the one with 100.
        let message = "the last step must have the weight 100";
        reading.error("pipeline/rollout", node.place, message, "add `{ weight: 100 }`");
    }
}

struct Step {
    weight: i64,
}

impl Read for Step {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let fields = Fields::of(node, label, STEP_KEYS, reading)?;
        fields.read::<Milliseconds>("hold");
        let Some(weight) = fields.find("weight") else {
            let message = format!("{label} has no `weight`");
            reading.error(
                "pipeline/missing-key",
                node.place,
                message,
                "add it, such as `weight: 10`",
            );
            return None;
        };
        Some(Self { weight: whole(weight, "`weight`", 0..=100, reading)? })
    }
}

struct Analysis;

impl Read for Analysis {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let fields = Fields::of(node, label, ANALYSIS_KEYS, reading)?;
        let metric = fields.require::<Plain>("metric", "p95_ms");
        fields.require::<Positive>("every", "1m");
        if let Some(limit) = fields.find("limit") {
            whole(limit, "`limit`", 1..=1000, reading);
        }
        fields.require::<Plain>("fail", "\"> 0.01\"")?;
        let (metric, fail) = (metric?.0, fields.find("fail")?);
        if !is_metric(&metric) {
            let message = format!("`{metric}` cannot be the name of a metric");
            let help = "use letters, digits, `_`, `-`, `.` and `/`";
            let place = fields.find("metric").map_or(node.place, |it| it.place);
            reading.error("pipeline/metric-name", place, message, help);
            return None;
        }
        let comparison = read_comparison(fail, &metric, reading)?;
        occurrence::comparison(&metric, &comparison, fail, reading)?;
        Some(Self)
    }
}

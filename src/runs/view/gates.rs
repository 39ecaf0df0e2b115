//! Gates with the values that were judged.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::engine::{AttemptOutcome, Run};
use crate::model::StageIndex;
use crate::pipeline::PlannedStage;

/// A gate, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedGate {
    /// Name of the metric.
    pub metric: String,
    /// The comparison as written.
    pub comparison: String,
    /// The metric's value; `None` when nothing published it.
    pub value: Option<f64>,
    /// What `baseline` stood for.
    pub baseline: Option<f64>,
    /// Whether the comparison holds.
    pub passed: bool,
}

/// A gate as clients see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GateView {
    /// Name of the metric.
    pub metric: String,
    /// The comparison as written.
    pub comparison: String,
    /// The metric's value; null when nothing published it.
    pub value: Option<f64>,
    /// Whether the comparison holds.
    pub passed: bool,
    /// What `baseline` stood for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<f64>,
}

impl From<JudgedGate> for GateView {
    fn from(gate: JudgedGate) -> Self {
        let finite = |it: &f64| it.is_finite();
        Self {
            metric: gate.metric,
            comparison: gate.comparison,
            value: gate.value.filter(finite),
            passed: gate.passed,
            baseline: gate.baseline.filter(finite),
        }
    }
}

/// Judges the gates of an attempt once more, for showing: value beside threshold.
#[must_use]
pub fn judge_gates(
    run: &Run,
    index: StageIndex,
    planned: &PlannedStage,
    outcome: &AttemptOutcome,
) -> Vec<JudgedGate> {
    let baselines = run.context().baselines.get(&planned.key);
    let judge = |gate: &crate::pipeline::plan::Gate| {
        let baseline = baselines.and_then(|it| it.get(&gate.metric)).copied();
        let value = outcome.metrics.get(&gate.metric).copied();
        let mut scope = run.scope(index);
        scope.metrics.clone_from(&outcome.metrics);
        scope.baseline = baseline;
        // Until a run was released there is nothing to compare with, and the gate lets pass.
        let is_first = baseline.is_none() && gate.expression.uses_baseline();
        let holds = || is_first || gate.expression.evaluate(&scope).unwrap_or(false);
        let passed = value.is_some() && holds();
        JudgedGate {
            metric: gate.metric.clone(),
            comparison: gate.comparison.clone(),
            value,
            baseline,
            passed,
        }
    };
    planned.gates.iter().map(judge).collect()
}

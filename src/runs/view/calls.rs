//! What stages called models for: counted by the LLM gateway, and kept with each attempt as metrics.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AttemptView, RunView, StageView};

/// Calls of models that went through the gateway, and what was reported to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelCallsView {
    /// Calls; one that was tried again counts each time.
    pub calls: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// What they cost.
    pub cost_usd: f64,
    /// What replays and caches saved.
    pub avoided_usd: f64,
    /// Reports of what was used elsewhere, such as queries of an index: no calls.
    #[serde(default)]
    pub reports: u64,
    /// What those cost, beside `cost_usd`.
    #[serde(default)]
    pub reported_usd: f64,
}

impl ModelCallsView {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            input_tokens: self.input_tokens + other.input_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
            cost_usd: self.cost_usd + other.cost_usd,
            avoided_usd: self.avoided_usd + other.avoided_usd,
            reports: self.reports + other.reports,
            reported_usd: self.reported_usd + other.reported_usd,
        }
    }

    fn of(attempt: &AttemptView) -> Self {
        let metrics = attempt.outcome.as_ref().map(|it| &it.metrics);
        let value = |name| metrics.and_then(|it| it.get(name)).copied().unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let count = |name| value(name).max(0.0) as u64;
        Self {
            calls: count("llm_calls"),
            input_tokens: count("llm_input_tokens"),
            output_tokens: count("llm_output_tokens"),
            cost_usd: value("llm_cost_usd"),
            avoided_usd: value("llm_avoided_usd"),
            reports: count("usage_reports"),
            reported_usd: value("usage_cost_usd"),
        }
    }

    /// Those of all attempts; nothing where there were none.
    #[must_use]
    pub fn of_all(attempts: &[AttemptView]) -> Option<Self> {
        let all = attempts.iter().map(Self::of).fold(Self::default(), Self::plus);
        (all.calls > 0 || all.reports > 0).then_some(all)
    }
}

impl RunView {
    /// The stages that called models, with what came together.
    pub fn model_calls(&self) -> impl Iterator<Item = (&StageView, ModelCallsView)> {
        self.stages.iter().filter_map(|it| Some((it, it.model_calls?)))
    }
}

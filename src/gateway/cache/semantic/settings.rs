//! Which calls may share answers by meaning, and how near is near enough: tables `cache.semantic` of the gateway's file.

use serde::Deserialize;

use super::Likeness;
use crate::gateway::budget::scope::{Kind, Subject};
use crate::gateway::prices::matcher::Matcher;
use crate::model::Milliseconds;

/// One table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SemanticSettings {
    /// The endpoint whose calls it is for; all, when it is not there.
    pub endpoint: Option<String>,
    /// The models whose calls it is for, as clients name them; all, when it is not there.
    pub models: Option<Matcher>,
    /// The model that questions are embedded with, by the gateway's own routes.
    pub embedding: String,
    /// How near two questions must be at least: their cosine.
    #[serde(default = "threshold")]
    pub threshold: f32,
    /// What happens when one is found.
    #[serde(default)]
    pub mode: Mode,
    /// The most known questions of one scope, each of which is looked at.
    #[serde(default = "entries")]
    pub entries: usize,
    /// How long a question is known; as long as its answer is kept, when it is not there.
    pub ttl_seconds: Option<u64>,
    /// How long an embedding may take.
    #[serde(default = "timeout")]
    pub timeout_ms: Milliseconds,
}

/// What happens when a question is found that means the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The call goes out, and its row says what would have been given.
    #[default]
    Report,
    /// The call is answered with the answer to that question.
    Answer,
}

fn threshold() -> f32 {
    0.95
}

fn entries() -> usize {
    1000
}

fn timeout() -> Milliseconds {
    Milliseconds(300)
}

impl SemanticSettings {
    /// Whether it is for such a call.
    #[must_use]
    pub fn is_for(&self, subject: &Subject, model: &str) -> bool {
        let endpoint = self.endpoint.as_deref();
        endpoint.is_none_or(|it| subject.get(Kind::Endpoint) == Some(it))
            && self.models.as_ref().is_none_or(|it| it.matches(model))
    }

    /// The threshold.
    #[must_use]
    pub fn least(&self) -> Likeness {
        Likeness::of(self.threshold)
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        if !(0.5..=1.0).contains(&self.threshold) {
            Some("`threshold` is from 0.5 to 1")
        } else if !(1..=10_000).contains(&self.entries) {
            Some("`entries` are 1 to 10000")
        } else if !(1..=60_000).contains(&self.timeout_ms.0) {
            Some("`timeout_ms` is from 1 to 60000")
        } else {
            None
        }
    }
}

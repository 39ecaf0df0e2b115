//! What a simulated step does, written into its `run` text, so that plan, world and oracle agree.

use serde::{Deserialize, Serialize};

/// A step. What differs between attempts has one entry for each; the last stands for all that follow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Script {
    pub(crate) takes_ms: u64,
    pub(crate) lines: u32,
    pub(crate) exits: Vec<i32>,
    pub(crate) scores: Vec<f64>,
    pub(crate) out_of_memory: bool,
    pub(crate) ignores_terminate: bool,
}

impl Script {
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap()
    }

    pub(crate) fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap()
    }

    /// Exit code in this attempt, counted from 1.
    pub(crate) fn exit(&self, attempt: u32) -> i32 {
        of_attempt(&self.exits, attempt).unwrap_or(0)
    }

    /// The metric `score` that this attempt publishes.
    pub(crate) fn score(&self, attempt: u32) -> Option<f64> {
        of_attempt(&self.scores, attempt)
    }
}

fn of_attempt<T: Copy>(values: &[T], attempt: u32) -> Option<T> {
    values.get(attempt as usize - 1).or(values.last()).copied()
}

//! What calls of one key, provider and model have come to, in this process. Pure.

use serde::Serialize;

use super::row::{Row, What};
use crate::model::UsdNanos;

/// Sums of calls that belong together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Calls; one that was tried again counts each time.
    pub calls: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// Money.
    pub cost: UsdNanos,
    /// Money that caches and cassettes saved.
    pub avoided: UsdNanos,
    /// Reports of what was used elsewhere: no calls, and not in what they came to.
    pub reports: u64,
    /// Money of those.
    pub reported: UsdNanos,
}

impl Sum {
    /// Counts a call in.
    pub fn add(&mut self, row: &Row) {
        if row.operation == What::Usage {
            self.reports += 1;
            self.reported = UsdNanos(self.reported.0.saturating_add(row.cost.0));
            return;
        }
        self.calls += 1;
        self.input_tokens = self.input_tokens.saturating_add(row.usage.input_tokens());
        self.output_tokens = self.output_tokens.saturating_add(row.usage.output_tokens());
        self.cost = UsdNanos(self.cost.0.saturating_add(row.cost.0));
        self.avoided = UsdNanos(self.avoided.0.saturating_add(row.avoided.0));
    }
}

/// Whose and which calls a sum is of: key, provider, model.
pub type SumName = (String, String, String);

//! What reports say of tests and findings.

use std::fmt;

use super::status::words;

/// What came of a test case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseOutcome {
    /// It found something wrong.
    Failed,
    /// It could not be run to its end.
    Error,
    /// It passed when the test program itself tried it again.
    Flaky,
    /// It found nothing wrong.
    Passed,
}

words!(CaseOutcome {
    Failed => "failed", Error => "error", Flaky => "flaky", Passed => "passed",
});

impl CaseOutcome {
    /// Whether it counts as failed.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

/// How bad a finding is; the worst is the least.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum FindingLevel {
    /// A fault.
    Error,
    /// Probably a fault.
    Warning,
    /// Worth knowing.
    Note,
}

words!(FindingLevel { Error => "error", Warning => "warning", Note => "note" });

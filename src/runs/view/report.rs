//! Test cases and findings of a run.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{CaseOutcome, FindingLevel, RunId, StageIndex};
use crate::store::results::reports::{CaseRow, FindingRow};

/// A test case of a run that is worth a line: it failed, was flaky, was among the slowest, or had failed before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CaseView {
    /// Place of its stage in the plan.
    #[schema(value_type = u32)]
    pub stage: StageIndex,
    /// Key of its stage.
    pub stage_key: String,
    /// The try of the stage that ran it.
    pub attempt: u32,
    /// Whether that try is the one that counts: the last one since the last re-run, or the reused one.
    pub counts: bool,
    /// Its suite, or empty.
    pub suite: String,
    /// Its name, with the class before it where the report has one.
    pub name: String,
    /// `failed`, `error` (it could not be run to its end), `flaky` (the test program tried it again and it
    /// passed) or `passed`.
    #[schema(value_type = String)]
    pub outcome: CaseOutcome,
    /// Whether it failed, and passed with the same files.
    pub flaky: bool,
    /// What is wrong; at most 2,000 bytes of it.
    pub message: String,
    /// File, or empty.
    pub file: String,
    /// Line in it, from 1.
    pub line: Option<i64>,
    /// How long it took.
    pub duration_ms: Option<i64>,
    /// The run that ran it, where the stage reuses its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reused_from: Option<RunId>,
}

/// What a scanner has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// Place of its stage in the plan.
    #[schema(value_type = u32)]
    pub stage: StageIndex,
    /// Key of its stage.
    pub stage_key: String,
    /// The try of the stage that found it.
    pub attempt: u32,
    /// Whether that try is the one that counts.
    pub counts: bool,
    /// `error`, `warning` or `note`.
    #[schema(value_type = String)]
    pub level: FindingLevel,
    /// The rule.
    pub rule: String,
    /// What is wrong; at most 2,000 bytes of it.
    pub message: String,
    /// File, or empty.
    pub file: String,
    /// Line in it, from 1.
    pub line: Option<i64>,
    /// The run that found it, where the stage reuses its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reused_from: Option<RunId>,
}

impl From<CaseRow> for CaseView {
    fn from(row: CaseRow) -> Self {
        Self {
            stage: row.attempt.stage,
            stage_key: row.stage_key,
            attempt: row.attempt.attempt,
            counts: false,
            suite: row.case.suite,
            name: row.case.name,
            outcome: row.case.outcome,
            flaky: row.is_flaky,
            message: row.case.message,
            file: row.case.file,
            line: row.case.line,
            duration_ms: row.case.duration_ms,
            reused_from: None,
        }
    }
}

impl CaseView {
    /// Failures first, then flaky cases, then the slowest.
    pub(in crate::runs) fn rank(&self) -> (u8, i64) {
        let duration = self.duration_ms.unwrap_or(0).saturating_neg();
        match self.outcome {
            CaseOutcome::Failed | CaseOutcome::Error => (0, 0),
            CaseOutcome::Flaky => (1, 0),
            CaseOutcome::Passed => (2, duration),
        }
    }

    /// The name with its suite before it, unless that is said already.
    #[must_use]
    pub fn full_name(&self) -> String {
        if self.suite.is_empty() || self.name.starts_with(&self.suite) {
            return self.name.clone();
        }
        format!("{} › {}", self.suite, self.name)
    }
}

impl From<FindingRow> for FindingView {
    fn from(row: FindingRow) -> Self {
        Self {
            stage: row.attempt.stage,
            stage_key: row.stage_key,
            attempt: row.attempt.attempt,
            counts: false,
            level: row.finding.level,
            rule: row.finding.rule,
            message: row.finding.message,
            file: row.finding.file,
            line: row.finding.line,
            reused_from: None,
        }
    }
}

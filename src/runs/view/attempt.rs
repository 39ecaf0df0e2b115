//! Attempts, their steps and what came of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::engine::{ArtifactRef, Attempt, AttemptOutcome};
use crate::model::{FailureClass, Timestamp};

/// One try of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttemptView {
    /// Counts from 1.
    pub attempt: u32,
    /// When it began, in milliseconds since 1970-01-01 UTC.
    #[schema(value_type = i64)]
    pub started_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<i64>)]
    pub finished_at: Option<Timestamp>,
    /// What came of it.
    pub outcome: Option<OutcomeView>,
    /// Its steps so far.
    pub steps: Vec<StepView>,
}

/// One step of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepView {
    /// Its place in the stage, from 0.
    pub step: u32,
    /// When it began.
    #[schema(value_type = i64)]
    pub started_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<i64>)]
    pub finished_at: Option<Timestamp>,
    /// Zero means success.
    pub exit_code: Option<i32>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutcomeView {
    /// Class of the failure; null when it passed.
    #[schema(value_type = Option<String>)]
    pub class: Option<FailureClass>,
    /// What went wrong and what to do; empty when it passed.
    pub message: String,
    /// Exit code of the container, where there was one.
    pub exit_code: Option<i32>,
    /// Metrics that its steps and reports published.
    pub metrics: BTreeMap<String, f64>,
    /// Outputs for later stages.
    pub outputs: BTreeMap<String, String>,
    /// What it handed on.
    pub artifacts: Vec<ArtifactRefView>,
    /// Tests counted in its reports.
    pub tests: Option<TestsView>,
    /// What should be looked at although nothing failed for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// An archive of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactRefView {
    /// The declared path or glob.
    pub path: String,
    /// Digest of the archive.
    pub digest: String,
    /// Size of the archive.
    pub size_bytes: u64,
    /// Size of the files in it; absent where an older version did not write it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpacked_bytes: Option<u64>,
    /// Files in it.
    pub files: u64,
}

/// Tests counted in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestsView {
    /// Passed.
    pub passed: u64,
    /// Failed, errors included.
    pub failed: u64,
    /// Skipped.
    pub skipped: u64,
}

impl ArtifactRefView {
    /// The size that means something to a person: of the files, or of the archive where only that is known.
    #[must_use]
    pub fn shown_bytes(&self) -> u64 {
        self.unpacked_bytes.unwrap_or(self.size_bytes)
    }
}

impl From<(&Attempt, u32)> for AttemptView {
    fn from((attempt, number): (&Attempt, u32)) -> Self {
        let steps = attempt.steps.iter().map(|(step, it)| StepView {
            step: *step,
            started_at: it.started_at,
            finished_at: it.finished.map(|(at, _)| at),
            exit_code: it.finished.map(|(_, code)| code),
        });
        Self {
            attempt: number,
            started_at: attempt.started_at,
            finished_at: attempt.finished_at,
            outcome: attempt.outcome.as_ref().map(OutcomeView::from),
            steps: steps.collect(),
        }
    }
}

impl From<&AttemptOutcome> for OutcomeView {
    fn from(outcome: &AttemptOutcome) -> Self {
        // JSON has no word for numbers that are none.
        let metrics = outcome.metrics.iter().filter(|(_, value)| value.is_finite());
        Self {
            class: outcome.class,
            message: outcome.message.clone(),
            exit_code: outcome.exit_code,
            metrics: metrics.map(|(name, value)| (name.clone(), *value)).collect(),
            outputs: outcome.outputs.clone(),
            artifacts: outcome.artifacts.iter().map(ArtifactRefView::from).collect(),
            tests: outcome.tests.map(|it| TestsView {
                passed: it.passed,
                failed: it.failed,
                skipped: it.skipped,
            }),
            warnings: outcome.warnings.clone(),
        }
    }
}

impl From<&ArtifactRef> for ArtifactRefView {
    fn from(artifact: &ArtifactRef) -> Self {
        Self {
            path: artifact.path.clone(),
            digest: artifact.digest.to_string(),
            size_bytes: artifact.size_bytes,
            unpacked_bytes: artifact.unpacked_bytes,
            files: artifact.files,
        }
    }
}

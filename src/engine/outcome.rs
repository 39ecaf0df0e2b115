//! What came of an attempt.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Digest, FailureClass, Timestamp};

/// What came of an attempt. `class: None` means it passed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttemptOutcome {
    /// Why it failed; `None` when it passed.
    pub class: Option<FailureClass>,
    /// What went wrong and what to do, for a person. Empty when it passed.
    pub message: String,
    /// Exit code of the container, when there is one.
    pub exit_code: Option<i32>,
    /// Metrics that the steps and reports published.
    pub metrics: BTreeMap<String, f64>,
    /// Outputs for later stages. At most 64 KiB in all.
    pub outputs: BTreeMap<String, String>,
    /// Files handed on, as references into the blob store.
    pub artifacts: Vec<ArtifactRef>,
    /// Tests counted in the reports, if any.
    pub tests: Option<TestCounts>,
    /// What does not fail the attempt and should be looked at, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// When its process ended, if that is known: its log may be read, and its files stored, long after.
    /// Counts when it is judged and is not stored.
    #[serde(skip)]
    pub ended_at: Option<Timestamp>,
    /// Whether another attempt would end the same way, so that none is made. Not stored either.
    #[serde(skip)]
    pub is_final: bool,
}

impl AttemptOutcome {
    /// Whether it passed.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.class.is_none()
    }

    /// A failure without files.
    #[must_use]
    pub fn failed(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class: Some(class), message: message.into(), ..Self::default() }
    }
}

/// An archive of files in the blob store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// The declared path or glob.
    pub path: String,
    /// Content of the archive, a zstd-compressed tar.
    pub digest: Digest,
    /// Size of the archive.
    pub size_bytes: u64,
    /// Size of the files in it; older versions did not write it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpacked_bytes: Option<u64>,
    /// Files in it.
    pub files: u64,
}

impl ArtifactRef {
    /// The size that means something to a person: of the files, or of the archive where only that is known.
    #[must_use]
    pub fn shown_bytes(&self) -> u64 {
        self.unpacked_bytes.unwrap_or(self.size_bytes)
    }
}

/// Tests counted in reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCounts {
    /// Passed.
    pub passed: u64,
    /// Failed, errors included.
    pub failed: u64,
    /// Skipped.
    pub skipped: u64,
}

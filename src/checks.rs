//! Reading what steps leave behind: test, coverage and scanner reports, published metrics and outputs.
//!
//! All of it was written by code that nobody here trusts, so everything is bounded. Readers take
//! bytes and give values; they open no file.

use std::collections::BTreeMap;

use crate::model::FindingLevel;

pub use cases::{CASES_MAX, Case, CaseId, Cases, SLOWEST_MAX};

mod cases;
pub mod cobertura;
pub mod junit;
pub mod published;
pub mod sarif;

mod xml;

#[cfg(test)]
mod tests;

/// Largest report that is read.
pub const REPORT_BYTES_MAX: usize = 64 << 20;
/// Failures that are kept of a report; more are counted.
pub const FAILURES_MAX: usize = 1000;
/// Findings that are kept of a report by level; more are counted.
pub const FINDINGS_MAX: usize = 500;
/// Longest name and message of a failure.
pub const TEXT_BYTES_MAX: usize = 4096;

/// What a report says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Numbers for gates and trends.
    pub metrics: BTreeMap<String, f64>,
    /// Tests, if it is a report of tests.
    pub tests: Option<TestCounts>,
    /// Tests that failed, or findings of a scanner, worst first; at most [`FAILURES_MAX`].
    pub failures: Vec<Failure>,
    /// How many more there were.
    pub failures_left_out: u64,
    /// Test cases, if it is a report of tests.
    pub cases: Cases,
    /// Findings, if it is a report of a scanner, worst first; at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub findings_left_out: u64,
}

/// What a scanner has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: FindingLevel,
    /// Rule, message and place.
    pub what: Failure,
}

/// Tests of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TestCounts {
    /// Passed.
    pub passed: u64,
    /// Failed, errors included.
    pub failed: u64,
    /// Skipped.
    pub skipped: u64,
}

/// A test that failed, or a finding.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    /// Name of the test, or of the rule.
    pub name: String,
    /// What is wrong; may have several lines, and is cut when it is long.
    pub message: String,
    /// File, if the report names one.
    pub file: Option<String>,
    /// Line in it, from 1.
    pub line: Option<u64>,
}

/// Why a report cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct ReportError {
    /// The report, as the caller named it.
    pub file: String,
    /// Line of the report, from 1.
    pub line: u64,
    /// What is wrong.
    pub message: String,
}

impl Report {
    /// Adds what another report of the same attempt says. Rates are computed from the sums.
    pub fn merge(&mut self, other: Self) {
        for (name, value) in other.metrics {
            let is_rate = cobertura::is_rate(&name);
            let sum = self.metrics.entry(name).or_default();
            *sum = if is_rate { sum.max(value) } else { *sum + value };
        }
        cobertura::set_rates(&mut self.metrics);
        if let Some(added) = other.tests {
            let tests = self.tests.get_or_insert_default();
            tests.passed += added.passed;
            tests.failed += added.failed;
            tests.skipped += added.skipped;
        }
        self.failures_left_out += other.failures_left_out;
        other.failures.into_iter().for_each(|it| self.keep(it));
        self.cases.merge(other.cases);
        self.findings_left_out += other.findings_left_out;
        self.findings.extend(other.findings);
        self.bound_findings();
    }

    fn bound_findings(&mut self) {
        self.findings.sort_by_key(|it| it.level);
        self.findings_left_out += self.findings.len().saturating_sub(FINDINGS_MAX) as u64;
        self.findings.truncate(FINDINGS_MAX);
    }

    fn keep(&mut self, failure: Failure) {
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(failure);
        } else {
            self.failures_left_out += 1;
        }
    }
}

fn check_size(file: &str, bytes: &[u8]) -> Result<(), ReportError> {
    if bytes.len() <= REPORT_BYTES_MAX {
        return Ok(());
    }
    let message =
        format!("the report has {} bytes; at most {REPORT_BYTES_MAX} are read", bytes.len());
    Err(ReportError { file: file.to_owned(), line: 1, message })
}

/// Adds text up to the limit, at a border of characters.
fn push_bounded(text: &mut String, added: &str) {
    let room = TEXT_BYTES_MAX.saturating_sub(text.len());
    text.push_str(added.get(..added.floor_char_boundary(room)).unwrap_or_default());
}

fn bounded(text: &str) -> String {
    let mut kept = String::new();
    push_bounded(&mut kept, text);
    kept
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

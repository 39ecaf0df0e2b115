//! Test cases by name: those that failed or were flaky, the slowest, and enough to say later which of them
//! passed elsewhere. Bounded, however many cases a report has.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};

use crate::model::CaseOutcome;

/// Cases that failed or were flaky and are kept of an attempt; more are counted.
pub const CASES_MAX: usize = 500;
/// Slowest cases that are kept of an attempt.
pub const SLOWEST_MAX: usize = 20;
/// Cases of which is known that they passed.
const PASSED_MAX: usize = 500_000;

/// One test case of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Name of the suite that it belongs to, or empty.
    pub suite: String,
    /// Its name, with the class before it where the report has one.
    pub name: String,
    /// What came of it.
    pub outcome: CaseOutcome,
    /// What is wrong; may have several lines, and is cut when it is long.
    pub message: String,
    /// File, if the report names one.
    pub file: Option<String>,
    /// Line in it, from 1.
    pub line: Option<u64>,
    /// How long it took.
    pub seconds: Option<f64>,
}

/// Stands for the suite and the name of a case, in one report as in the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CaseId(u128);

impl std::fmt::Display for CaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl CaseId {
    /// That of a case.
    #[must_use]
    pub fn of(suite: &str, name: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update((suite.len() as u64).to_le_bytes());
        hash.update(suite.as_bytes());
        hash.update(name.as_bytes());
        let bytes = hash.finalize();
        Self(bytes.iter().take(16).fold(0, |sum, byte| (sum << 8) | u128::from(*byte)))
    }

    /// Reads it back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32).map(Self)
    }
}

/// The cases of all reports of an attempt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cases {
    /// Those that failed or were flaky, in the order of the reports; at most [`CASES_MAX`].
    pub told: Vec<Case>,
    /// How many more there were.
    pub left_out: u64,
    /// The slowest of those that passed, the slowest first; at most [`SLOWEST_MAX`].
    pub slowest: Vec<Case>,
    /// Grows with each case that ran, in whatever order.
    executed: u128,
    passed: HashSet<CaseId>,
    failed: HashSet<CaseId>,
}

impl Cases {
    /// Adds a case that was not skipped.
    pub(super) fn add(&mut self, case: Case) {
        let id = CaseId::of(&case.suite, &case.name);
        self.executed = self.executed.wrapping_add(id.0);
        if case.outcome.is_failure() {
            self.failed.insert(id);
        } else if self.passed.len() < PASSED_MAX {
            self.passed.insert(id);
        }
        if case.outcome == CaseOutcome::Passed {
            self.add_slow(case);
        } else {
            self.tell(case);
        }
    }

    /// Adds those of another report of the same attempt.
    pub(super) fn merge(&mut self, other: Self) {
        self.executed = self.executed.wrapping_add(other.executed);
        self.failed.extend(other.failed);
        let room = PASSED_MAX.saturating_sub(self.passed.len());
        self.passed.extend(other.passed.into_iter().take(room));
        self.left_out += other.left_out;
        other.told.into_iter().for_each(|it| self.tell(it));
        other.slowest.into_iter().for_each(|it| self.add_slow(it));
    }

    /// Whether no case is left out of those that are told.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.left_out == 0
    }

    /// Stands for the set of cases that ran, whatever came of them: two attempts with the same have run the same.
    #[must_use]
    pub fn executed(&self) -> String {
        format!("{:032x}", self.executed)
    }

    /// Whether a case ran and passed, in all reports that name it.
    #[must_use]
    pub fn has_passed(&self, id: CaseId) -> bool {
        self.passed.contains(&id) && !self.failed.contains(&id)
    }

    fn tell(&mut self, case: Case) {
        if self.told.len() < CASES_MAX {
            self.told.push(case);
        } else {
            self.left_out += 1;
        }
    }

    fn add_slow(&mut self, case: Case) {
        let Some(seconds) = case.seconds else { return };
        let faster = |it: &Case| it.seconds.is_none_or(|it| it < seconds);
        let place = self.slowest.iter().position(faster).unwrap_or(self.slowest.len());
        if place < SLOWEST_MAX {
            self.slowest.insert(place, case);
            self.slowest.truncate(SLOWEST_MAX);
        }
    }
}

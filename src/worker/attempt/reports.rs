//! What reports say by name, stored for people: test cases that failed, were flaky or slow, and findings. Masked
//! and bounded. Stored before the end of the attempt is, and once more when it is adopted: the same rows.

use crate::checks::{Case, CaseId, Failure as Told, Finding, Report, TEXT_BYTES_MAX};
use crate::engine::AttemptOutcome;
use crate::executor::Executor;
use crate::model::CaseOutcome;
use crate::store::results::reports::{AttemptReport, NewCase, NewFinding};
use crate::worker::attempt::Attempt;
use crate::worker::attempt::failure::Failure;
use crate::worker::attempt::job::Job;

/// Longest name of a suite, a case, a rule or a file that is stored.
const NAME_BYTES_MAX: usize = 500;
/// Longest message that is stored.
const MESSAGE_BYTES_MAX: usize = 2000;
/// Bytes of a character at most: a text that was cut between two has less than so many to its limit.
const LONGEST_CHARACTER: usize = 4;

impl<E: Executor> Attempt<E> {
    /// Stores what the reports say by name; nothing where there is nothing of it.
    pub(in crate::worker) async fn store_report(
        &self,
        job: &Job,
        report: &Report,
        outcome: &AttemptOutcome,
    ) -> Result<(), Failure> {
        if report.tests.is_none() && report.findings.is_empty() {
            return Ok(());
        }
        let infra = |error| Failure::infra("storing the reports", &error);
        let store = self.worker.parts.runs.store();
        let (name, stage_key) = (&self.name, job.setup.stage.as_str());
        let failed_before = match report.tests {
            Some(_) => store.list_failed_before(name, stage_key).await.map_err(infra)?,
            None => Vec::new(),
        };
        let stored = AttemptReport {
            attempt: name.clone(),
            stage_key: stage_key.to_owned(),
            at: outcome.ended_at.unwrap_or_else(|| self.worker.parts.clock.now()),
            executed: report.tests.map_or_else(String::new, |_| report.cases.executed()),
            failed: report.tests.map_or(0, |it| it.failed),
            cases_left_out: report.cases.left_out,
            findings_left_out: report.findings_left_out,
            cases: cases_of(job, report, failed_before),
            findings: report.findings.iter().map(|it| finding(job, it)).collect(),
        };
        store.save_report(&stored).await.map_err(infra)
    }
}

/// Those that tell something by themselves, and those that failed before and now pass.
fn cases_of(
    job: &Job,
    report: &Report,
    failed_before: Vec<(String, String, String)>,
) -> Vec<NewCase> {
    let told = report.cases.told.iter().chain(&report.cases.slowest);
    let mut cases: Vec<_> = told.map(|it| stored(job, it)).collect();
    let has_passed = |id: &str| CaseId::parse(id).is_some_and(|it| report.cases.has_passed(it));
    for (case_id, suite, name) in failed_before.into_iter().filter(|(id, ..)| has_passed(id)) {
        if cases.iter().all(|it| it.case_id != case_id) {
            let (outcome, file, message) = (CaseOutcome::Passed, String::new(), String::new());
            let (line, duration_ms) = (None, None);
            cases.push(NewCase { case_id, suite, name, outcome, message, file, line, duration_ms });
        }
    }
    cases
}

fn stored(job: &Job, case: &Case) -> NewCase {
    NewCase {
        // Of the names as they are: what is masked and cut could be the same for two.
        case_id: CaseId::of(&case.suite, &case.name).to_string(),
        suite: bounded(job, &case.suite, NAME_BYTES_MAX),
        name: bounded(job, &case.name, NAME_BYTES_MAX),
        outcome: case.outcome,
        message: bounded(job, &case.message, MESSAGE_BYTES_MAX),
        file: bounded(job, case.file.as_deref().unwrap_or_default(), NAME_BYTES_MAX),
        line: case.line.and_then(|it| i64::try_from(it).ok()),
        duration_ms: case.seconds.and_then(milliseconds),
    }
}

fn finding(job: &Job, finding: &Finding) -> NewFinding {
    let Told { name, message, file, line } = &finding.what;
    NewFinding {
        level: finding.level,
        rule: bounded(job, name, NAME_BYTES_MAX),
        message: bounded(job, message, MESSAGE_BYTES_MAX),
        file: bounded(job, file.as_deref().unwrap_or_default(), NAME_BYTES_MAX),
        line: line.and_then(|it| i64::try_from(it).ok()),
    }
}

/// Masked first, so that no half of a secret is left at the cut; at the end of a text that the reader has cut
/// before, what may be the beginning of one is left out. A database keeps no text with a zero in it.
fn bounded(job: &Job, text: &str, limit: usize) -> String {
    let mut masker = job.setup.masker.clone();
    let mut masked = masker.feed(text.as_bytes());
    if text.len() + LONGEST_CHARACTER <= TEXT_BYTES_MAX {
        masked.extend(masker.finish());
    }
    let masked = String::from_utf8_lossy(&masked).replace('\0', "\u{fffd}");
    if masked.len() <= limit {
        return masked;
    }
    let kept = masked.get(..masked.floor_char_boundary(limit)).unwrap_or_default();
    format!("{kept}…")
}

#[expect(clippy::cast_possible_truncation, reason = "bounded before")]
fn milliseconds(seconds: f64) -> Option<i64> {
    let rounded = (seconds * 1000.0).round();
    (0.0..1e15).contains(&rounded).then_some(rounded as i64)
}

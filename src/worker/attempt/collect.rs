//! From an exit to an outcome: failure class and message, metrics, outputs, reports, artifacts.

use std::path::Path;

use crate::checks::{self, Report, published};
use crate::engine::{AttemptOutcome, TestCounts};
use crate::executor::{Executor, Exit, is_glob};
use crate::model::FailureClass;
use crate::pipeline::plan::{Artifacts, ReportKind};

use crate::worker::attempt::Attempt;
use crate::worker::attempt::failure::Failure;
use crate::worker::attempt::job::Job;
use crate::worker::attempt::log::Pumped;
use crate::worker::attempt::patience::patiently;
use crate::worker::attempt::spool::LeftOut;

/// The largest sum of reports that one declared path may have.
const REPORTS_MAX_BYTES: u64 = 64 << 20;
/// Failures of reports that are named in the message of an attempt.
const FAILURES_SHOWN: usize = 10;
/// Exit code of a process that SIGKILL ended.
const KILLED: i32 = 137;
/// Files that are named as left out of one declared path.
const LEFT_OUT_SHOWN: usize = 5;

impl<E: Executor> Attempt<E> {
    /// Reads what the attempt left behind and judges its exit.
    pub(in crate::worker) async fn collect(
        &self,
        job: &Job,
        exit: &Exit,
        pumped: &Pumped,
    ) -> Result<AttemptOutcome, Failure> {
        let mut outcome = judge(job, exit, pumped);
        outcome.ended_at = exit.ended_at;
        self.read_published(job, &mut outcome).await?;
        if let Some(artifacts) = &job.artifacts {
            let report = self.read_reports(artifacts, &mut outcome).await?;
            self.store_report(job, &report, &outcome).await?;
            if outcome.is_passed() || artifacts.on_failure {
                self.store_artifacts(job, artifacts, &mut outcome).await?;
            }
        }
        if outcome.is_passed() {
            self.save_caches(job).await;
        }
        Ok(outcome)
    }

    async fn read_published(&self, job: &Job, outcome: &mut AttemptOutcome) -> Result<(), Failure> {
        // Where these are gone the attempt has not passed: later stages would miss what it published.
        let executor = &self.worker.parts.executor;
        let files = patiently(|| executor.published(&self.name)).await?;
        let metrics = published::metrics(&files.metrics);
        let outputs = published::outputs(&files.outputs);
        let mask = |text: String| job.setup.masker.mask(&text);
        let values = metrics.values.into_iter().map(|(name, value)| (mask(name), value));
        outcome.metrics.extend(values);
        let values = outputs.values.into_iter().map(|(name, value)| (mask(name), mask(value)));
        outcome.outputs.extend(values);
        let of_metrics = metrics.problems.iter().map(|it| format!("$TRUNKLINE_METRICS: {it}"));
        let of_outputs = outputs.problems.iter().map(|it| format!("$TRUNKLINE_OUTPUTS: {it}"));
        let problems: Vec<_> = of_metrics.chain(of_outputs).collect();
        if !problems.is_empty() {
            fail(outcome, &problems.join("\n"));
        }
        Ok(())
    }

    async fn read_reports(
        &self,
        artifacts: &Artifacts,
        outcome: &mut AttemptOutcome,
    ) -> Result<Report, Failure> {
        let mut all = Report::default();
        let was_passed = outcome.is_passed();
        for (kind, patterns) in &artifacts.reports {
            for pattern in patterns {
                let files = self.read_files(pattern, REPORTS_MAX_BYTES).await?;
                if files.is_empty() {
                    self.note_missing(outcome, (kind_word(*kind), pattern), was_passed).await;
                }
                for (path, bytes) in files {
                    match parse(*kind, &path, &bytes) {
                        Ok(report) => all.merge(report),
                        Err(problem) => fail(outcome, &problem),
                    }
                }
            }
        }
        add(outcome, &all);
        Ok(all)
    }

    /// A glob may match nothing, and that is worth a warning; a path that an attempt has not made fails
    /// it. One that has failed anyway has reasons enough.
    pub(in crate::worker) async fn note_missing(
        &self,
        outcome: &mut AttemptOutcome,
        (what, declared): (&str, &str),
        was_passed: bool,
    ) {
        if is_glob(declared) {
            outcome.warnings.push(format!("no file matches the {what} `{declared}`"));
        } else if was_passed {
            let nearby = self.tell_nearby(declared).await;
            let problem = format!(
                "the {what} `{declared}` is not there after the last step\n\
                 help: {nearby}; correct the path under `artifacts`, or let a step make the file"
            );
            fail(outcome, &problem);
        }
    }
}

/// Files that were found and are not handed on. A declared path that is such a file itself is a mistake
/// of the stage that made it: later stages count on it.
pub(in crate::worker) fn note_left_out(
    outcome: &mut AttemptOutcome,
    declared: &str,
    left_out: &[LeftOut],
    was_passed: bool,
) {
    let is_declared =
        |it: &&LeftOut| it.path == Path::new(declared.trim_matches('/')) && was_passed;
    if let Some(LeftOut { reason, .. }) = left_out.iter().find(is_declared) {
        let help = "help: hand on a file or folder of the workspace, or copy what is linked";
        return fail(outcome, &format!("the artifact `{declared}` {reason}\n{help}"));
    }
    for LeftOut { path, reason } in left_out.iter().take(LEFT_OUT_SHOWN) {
        let path = path.display();
        outcome
            .warnings
            .push(format!("`{path}` of artifact `{declared}` is left out: it {reason}"));
    }
    if let Some(more) = left_out.len().checked_sub(LEFT_OUT_SHOWN).filter(|it| *it > 0) {
        outcome.warnings.push(format!("{more} more files of artifact `{declared}` are left out"));
    }
}

fn kind_word(kind: ReportKind) -> &'static str {
    match kind {
        ReportKind::Junit => "JUnit report",
        ReportKind::Sarif => "SARIF report",
        ReportKind::Cobertura => "Cobertura report",
    }
}

fn parse(kind: ReportKind, path: &str, bytes: &[u8]) -> Result<Report, String> {
    let parsed = match kind {
        ReportKind::Junit => checks::junit::read(path, bytes),
        ReportKind::Sarif => checks::sarif::read(path, bytes),
        ReportKind::Cobertura => checks::cobertura::read(path, bytes),
    };
    parsed.map_err(|error| error.to_string())
}

/// What the reports say; the first failures are named where the attempt failed anyway.
fn add(outcome: &mut AttemptOutcome, report: &Report) {
    outcome.metrics.extend(report.metrics.clone());
    outcome.tests = report.tests.map(|it| TestCounts {
        passed: it.passed,
        failed: it.failed,
        skipped: it.skipped,
    });
    if outcome.is_passed() || report.failures.is_empty() {
        return;
    }
    let named = report.failures.iter().take(FAILURES_SHOWN);
    let lines: Vec<_> = named
        .map(|it| format!("  {}: {}", it.name, it.message.lines().next().unwrap_or_default()))
        .collect();
    let count = report.failures.len() as u64 + report.failures_left_out;
    let head = match count {
        1 => "1 failure in the reports:".to_owned(),
        _ => format!("{count} failures in the reports, the first:"),
    };
    fail(outcome, &format!("{head}\n{}", lines.join("\n")));
}

/// A problem fails an attempt that passed, and is added to the message of one that failed.
fn fail(outcome: &mut AttemptOutcome, problem: &str) {
    outcome.class.get_or_insert(FailureClass::User);
    if !outcome.message.is_empty() {
        outcome.message.push('\n');
    }
    outcome.message.push_str(problem);
}

/// Class and message of an exit.
fn judge(job: &Job, exit: &Exit, pumped: &Pumped) -> AttemptOutcome {
    let mut outcome = AttemptOutcome { exit_code: Some(exit.code), ..AttemptOutcome::default() };
    if let Some(ended) = &exit.failed_service {
        // SIGKILL was ours.
        outcome.exit_code = outcome.exit_code.filter(|it| *it != KILLED);
        fail(&mut outcome, ended);
        return outcome;
    }
    if exit.code == 0 && !exit.out_of_memory {
        return outcome;
    }
    if exit.out_of_memory && exit.code != 0 {
        outcome.class = Some(FailureClass::OutOfMemory);
        let limit = job.setup.container.as_ref().and_then(|it| it.resources.memory_bytes);
        let limit = limit.map_or(String::new(), |it| format!(" of {} MiB", it >> 20));
        outcome.message = format!(
            "the kernel ended a process because the stage used more memory than its limit{limit}\n\
             help: raise `resources.memory`, or use less"
        );
        return outcome;
    }
    if exit.code == 0 {
        return outcome;
    }
    outcome.class = Some(FailureClass::User);
    outcome.message = format!("{} {}", subject(job, pumped), explain(exit.code));
    outcome
}

fn subject(job: &Job, pumped: &Pumped) -> String {
    let failed = pumped.steps.iter().find(|(_, code)| *code != 0);
    let name = failed.and_then(|(step, _)| job.step_names.get(*step as usize));
    name.map_or_else(|| "the program".to_owned(), |name| format!("step `{name}`"))
}

fn explain(code: i32) -> String {
    match code {
        126 => "exited with 126: a command was found but cannot be executed\n\
                help: make it executable (`chmod +x`), or check that it is built for this machine"
            .to_owned(),
        127 => "exited with 127: a command was not found\n\
                help: install it in the image, or check its name and `PATH`"
            .to_owned(),
        137 => "was killed (exit code 137, SIGKILL)\n\
                help: look for a memory limit inside the process, or who sent the signal"
            .to_owned(),
        139 => "crashed (exit code 139, segmentation fault)".to_owned(),
        143 => "was terminated (exit code 143, SIGTERM)".to_owned(),
        code if (129..=192).contains(&code) => {
            format!("was ended by signal {} (exit code {code})", code - 128)
        }
        code => format!("exited with {code}"),
    }
}

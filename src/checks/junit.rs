//! `JUnit` XML, in the dialects of pytest, nextest, Gradle, Surefire, Jest and others. There is no
//! standard; cases are counted one by one, as the sums that writers put into attributes differ.

use super::xml::{Document, Element, Node, text_of};
use super::{Failure, Report, ReportError, TestCounts, bounded, number, push_bounded};

/// Reads a report; `file` names it in errors.
///
/// Metrics: `tests_total`, `tests_passed`, `tests_failed`, `tests_skipped`, `tests_duration_seconds`.
pub fn read(file: &str, bytes: &[u8]) -> Result<Report, ReportError> {
    let text = text_of(file, bytes)?;
    let mut document = Document::new(file, &text);
    let root = document.root(&["testsuites", "testsuite"], "JUnit")?;
    let mut reading = Reading::default();
    reading.start(&root);
    while let Some(node) = document.next()? {
        match node {
            Node::Start(element) => reading.start(&element),
            Node::End(name) => reading.end(&name),
            Node::Text(text) => reading.text(&text),
        }
    }
    Ok(reading.finish())
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Outcome {
    #[default]
    Passed,
    Skipped,
    Failed,
}

#[derive(Debug, Default)]
struct Reading {
    report: Report,
    counts: TestCounts,
    /// Open suites; the outermost one that has a time knows best how long all of it took.
    suites: usize,
    suite_seconds: Option<f64>,
    timed_suite: Option<usize>,
    case_seconds: f64,
    case: Option<Case>,
}

#[derive(Debug, Default)]
struct Case {
    outcome: Outcome,
    failure: Failure,
    /// Whether the text that comes belongs to the failure.
    in_failure: bool,
    has_message: bool,
}

impl Reading {
    fn start(&mut self, element: &Element<'_>) {
        match element.name() {
            "testsuites" | "testsuite" => self.start_suite(element.number("time")),
            "testcase" => {
                self.case_seconds += element.number("time").unwrap_or(0.0);
                self.case = Some(Case::of(element));
            }
            "failure" | "error" => {
                if let Some(case) = &mut self.case {
                    case.fail(element);
                }
            }
            "skipped" => {
                if let Some(case) = self.case.as_mut().filter(|it| it.outcome == Outcome::Passed) {
                    case.outcome = Outcome::Skipped;
                }
            }
            _ => (),
        }
    }

    fn start_suite(&mut self, seconds: Option<f64>) {
        if let (Some(seconds), None) = (seconds, self.timed_suite) {
            *self.suite_seconds.get_or_insert(0.0) += seconds;
            self.timed_suite = Some(self.suites);
        }
        self.suites += 1;
    }

    fn end(&mut self, name: &str) {
        match name {
            "testsuites" | "testsuite" => {
                self.suites = self.suites.saturating_sub(1);
                self.timed_suite = self.timed_suite.filter(|it| *it < self.suites);
            }
            "failure" | "error" => {
                if let Some(case) = &mut self.case {
                    case.in_failure = false;
                }
            }
            "testcase" => self.end_case(),
            _ => (),
        }
    }

    fn end_case(&mut self) {
        let Some(case) = self.case.take() else { return };
        match case.outcome {
            Outcome::Passed => self.counts.passed += 1,
            Outcome::Skipped => self.counts.skipped += 1,
            Outcome::Failed => {
                self.counts.failed += 1;
                let mut failure = case.failure;
                failure.message.truncate(failure.message.trim_end().len());
                self.report.keep(failure);
            }
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(case) = self.case.as_mut().filter(|it| it.in_failure && !it.has_message) {
            // Leading blank lines are no message; the end is trimmed when the case is over.
            let is_begun = !case.failure.message.is_empty();
            push_bounded(
                &mut case.failure.message,
                if is_begun { text } else { text.trim_start() },
            );
        }
    }

    fn finish(mut self) -> Report {
        let TestCounts { passed, failed, skipped } = self.counts;
        let seconds = self.suite_seconds.filter(|it| *it > 0.0).unwrap_or(self.case_seconds);
        self.report.tests = Some(self.counts);
        self.report.metrics.extend([
            ("tests_total".to_owned(), number(passed + failed + skipped)),
            ("tests_passed".to_owned(), number(passed)),
            ("tests_failed".to_owned(), number(failed)),
            ("tests_skipped".to_owned(), number(skipped)),
            ("tests_duration_seconds".to_owned(), seconds),
        ]);
        self.report
    }
}

impl Case {
    fn of(element: &Element<'_>) -> Self {
        let name = element.attribute("name").unwrap_or_else(|| "a test without a name".to_owned());
        let name = match element.attribute("classname").filter(|it| !it.is_empty()) {
            Some(class) => format!("{class}::{name}"),
            None => name,
        };
        let failure = Failure {
            name: bounded(&name),
            message: String::new(),
            file: element.attribute("file").filter(|it| !it.is_empty()).map(|it| bounded(&it)),
            line: element.whole("line"),
        };
        Self { failure, ..Self::default() }
    }

    /// The first failure of a case tells; what follows from it, as in a teardown, does not.
    fn fail(&mut self, element: &Element<'_>) {
        if self.outcome == Outcome::Failed {
            return;
        }
        self.outcome = Outcome::Failed;
        self.in_failure = true;
        if let Some(message) = element.attribute("message").filter(|it| !it.trim().is_empty()) {
            self.failure.message = bounded(message.trim_start());
            self.has_message = true;
        }
    }
}

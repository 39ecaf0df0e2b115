//! `JUnit` XML, in the dialects of pytest, nextest, Gradle, Surefire, Jest and others. There is no
//! standard; cases are counted one by one, as the sums that writers put into attributes differ.

use super::xml::{Document, Element, Node, text_of};
use super::{Case, Failure, Report, ReportError, TestCounts, bounded, number, push_bounded};
use crate::model::CaseOutcome;

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

#[derive(Debug, Default)]
struct Reading {
    report: Report,
    counts: TestCounts,
    /// Open suites; the outermost one that has a time knows best how long all of it took.
    suites: usize,
    suite_seconds: Option<f64>,
    timed_suite: Option<usize>,
    case_seconds: f64,
    /// Names of the open suites.
    names: Vec<String>,
    case: Option<OpenCase>,
}

#[derive(Debug)]
struct OpenCase {
    case: Case,
    is_skipped: bool,
    /// Whether the text that comes belongs to the failure.
    in_failure: bool,
    /// How long the message of its attribute is, once there is one: the text that follows is kept below it.
    message_bytes: Option<usize>,
}

impl Reading {
    fn start(&mut self, element: &Element<'_>) {
        match element.name() {
            "testsuites" | "testsuite" => self.start_suite(element),
            "testcase" => {
                self.case_seconds += element.number("time").unwrap_or(0.0);
                let suite = self.names.iter().rfind(|it| !it.is_empty());
                self.case = Some(OpenCase::of(suite.cloned().unwrap_or_default(), element));
            }
            "skipped" => {
                if let Some(open) = &mut self.case {
                    open.is_skipped = open.case.outcome == CaseOutcome::Passed;
                }
            }
            name => {
                if let (Some(open), Some(outcome)) = (&mut self.case, outcome_of(name)) {
                    open.fail(outcome, element);
                }
            }
        }
    }

    fn start_suite(&mut self, element: &Element<'_>) {
        let seconds = element.number("time");
        // The outermost is called after the program that wrote the report.
        let name = element.attribute("name").filter(|_| element.name() == "testsuite");
        self.names.push(bounded(name.unwrap_or_default().trim()));
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
                self.names.pop();
                self.timed_suite = self.timed_suite.filter(|it| *it < self.suites);
            }
            "testcase" => self.end_case(),
            name => {
                if let (Some(open), Some(_)) = (&mut self.case, outcome_of(name)) {
                    open.in_failure = false;
                }
            }
        }
    }

    fn end_case(&mut self) {
        let Some(OpenCase { mut case, is_skipped, message_bytes, .. }) = self.case.take() else {
            return;
        };
        if is_skipped && case.outcome == CaseOutcome::Passed {
            self.counts.skipped += 1;
            return;
        }
        if let Some(bytes) = message_bytes {
            case.message = joined(&case.message, bytes);
        }
        case.message.truncate(case.message.trim_end().len());
        if case.outcome.is_failure() {
            self.counts.failed += 1;
            self.report.keep(Failure {
                name: case.name.clone(),
                message: case.message.clone(),
                file: case.file.clone(),
                line: case.line,
            });
        } else {
            self.counts.passed += 1;
        }
        self.report.cases.add(case);
    }

    fn text(&mut self, text: &str) {
        if let Some(open) = self.case.as_mut().filter(|it| it.in_failure) {
            // Leading blank lines are no message; the end is trimmed when the case is over.
            let message = &mut open.case.message;
            let is_begun = message.len() > open.message_bytes.unwrap_or_default();
            push_bounded(message, if is_begun { text } else { text.trim_start() });
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

/// What an element says of the case that it stands in. Surefire and nextest write down what failed when they
/// tried a case again: it passed in the end where it has only `flakyFailure`.
fn outcome_of(element: &str) -> Option<CaseOutcome> {
    match element {
        "failure" => Some(CaseOutcome::Failed),
        "error" => Some(CaseOutcome::Error),
        "flakyFailure" | "flakyError" => Some(CaseOutcome::Flaky),
        _ => None,
    }
}

/// The message of an attribute and the text below it, which many writers begin with the message.
fn joined(both: &str, bytes: usize) -> String {
    let (message, text) = both.split_at(bytes);
    let text = text.trim_end();
    let first = text.lines().next().unwrap_or_default();
    match () {
        () if text.is_empty() => message.to_owned(),
        () if text.starts_with(message) || first.ends_with(message) => text.to_owned(),
        () => bounded(&format!("{message}\n{text}")),
    }
}

impl OpenCase {
    fn of(suite: String, element: &Element<'_>) -> Self {
        let name = element.attribute("name").unwrap_or_else(|| "a test without a name".to_owned());
        let name = match element.attribute("classname").filter(|it| !it.is_empty()) {
            Some(class) => format!("{class}::{name}"),
            None => name,
        };
        let case = Case {
            suite,
            name: bounded(&name),
            outcome: CaseOutcome::Passed,
            message: String::new(),
            file: element.attribute("file").filter(|it| !it.is_empty()).map(|it| bounded(&it)),
            line: element.whole("line"),
            seconds: element.number("time"),
        };
        Self { case, is_skipped: false, in_failure: false, message_bytes: None }
    }

    /// The first failure of a case tells; what follows from it, as in a teardown, does not.
    fn fail(&mut self, outcome: CaseOutcome, element: &Element<'_>) {
        let case = &mut self.case;
        let was = case.outcome;
        if was.is_failure() || was == outcome {
            return;
        }
        case.outcome = outcome;
        case.message.clear();
        self.in_failure = true;
        self.message_bytes = None;
        if let Some(message) = element.attribute("message").filter(|it| !it.trim().is_empty()) {
            case.message = bounded(message.trim());
            self.message_bytes = Some(case.message.len());
        }
    }
}

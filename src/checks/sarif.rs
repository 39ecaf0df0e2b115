//! SARIF 2.1.0 (OASIS, 2020), the format of scanners and linters.

use std::collections::HashMap;

use serde::Deserialize;

use super::{Failure, Report, ReportError, bounded, check_size, number};
use crate::model::FindingLevel;

/// Reads a report; `file` names it in errors. Failures are errors first, then warnings.
///
/// Metrics: `sarif_errors`, `sarif_warnings`, `sarif_notes`. Suppressed results, and results that are no
/// failures (`kind` other than `fail`), are not counted.
pub fn read(file: &str, bytes: &[u8]) -> Result<Report, ReportError> {
    check_size(file, bytes)?;
    let problem = |line: usize, message: String| ReportError {
        file: file.to_owned(),
        line: line as u64,
        message,
    };
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let log: Log = serde_json::from_slice(text)
        .map_err(|error| problem(error.line().max(1), format!("is no SARIF report: {error}")))?;
    if log.version != "2.1.0" {
        let message = format!("is SARIF `{}`; only `2.1.0` is read", bounded(&log.version));
        return Err(problem(1, message));
    }
    let mut found = Found::default();
    for run in &log.runs {
        let rules = Rules::of(run);
        run.results.iter().for_each(|it| found.add(&rules, it));
    }
    Ok(found.finish())
}

#[derive(Debug, Default)]
struct Found {
    errors: Vec<Failure>,
    warnings: Vec<Failure>,
    notes: Vec<Failure>,
    counts: [u64; 3],
}

impl Found {
    fn add(&mut self, rules: &Rules<'_>, result: &Finding) {
        let [errors, warnings, notes] = &mut self.counts;
        let (count, kept) = match result.level(rules) {
            Some("error") => (errors, &mut self.errors),
            Some("warning") => (warnings, &mut self.warnings),
            Some("note") => (notes, &mut self.notes),
            _ => return,
        };
        *count += 1;
        if kept.len() < super::FAILURES_MAX {
            kept.push(result.failure(rules));
        }
    }

    fn finish(self) -> Report {
        let mut report = Report::default();
        let [errors, warnings, notes] = self.counts;
        for (name, count) in
            [("sarif_errors", errors), ("sarif_warnings", warnings), ("sarif_notes", notes)]
        {
            report.metrics.insert(name.to_owned(), number(count));
        }
        let levels = [
            (FindingLevel::Error, &self.errors),
            (FindingLevel::Warning, &self.warnings),
            (FindingLevel::Note, &self.notes),
        ];
        for (level, found) in levels {
            report.findings.extend(found.iter().map(|it| told(level, it)));
        }
        report.bound_findings();
        report.findings_left_out = (errors + warnings + notes) - report.findings.len() as u64;
        self.errors.into_iter().chain(self.warnings).for_each(|it| report.keep(it));
        report.failures_left_out = (errors + warnings) - report.failures.len() as u64;
        report
    }
}

fn told(level: FindingLevel, what: &Failure) -> super::Finding {
    super::Finding { level, what: what.clone() }
}

/// The rules of a run.
struct Rules<'a> {
    listed: &'a [Rule],
    by_id: HashMap<&'a str, &'a Rule>,
}

impl<'a> Rules<'a> {
    fn of(run: &'a Tooled) -> Self {
        let listed = run.tool.driver.rules.as_slice();
        Self { listed, by_id: listed.iter().map(|it| (it.id.as_str(), it)).collect() }
    }
}

#[derive(Debug, Deserialize)]
struct Log {
    version: String,
    #[serde(default)]
    runs: Vec<Tooled>,
}

#[derive(Debug, Deserialize)]
struct Tooled {
    #[serde(default)]
    tool: Tool,
    /// A run that failed before it had results says `null`.
    #[serde(default, deserialize_with = "null_as_default")]
    results: Vec<Finding>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tool {
    driver: Driver,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Driver {
    rules: Vec<Rule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rule {
    id: String,
    default_configuration: Configuration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Configuration {
    level: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Finding {
    rule_id: Option<String>,
    rule_index: Option<i64>,
    rule: Option<RuleReference>,
    kind: Option<String>,
    level: Option<String>,
    message: Message,
    locations: Vec<Location>,
    suppressions: Option<Vec<Suppression>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RuleReference {
    id: Option<String>,
    index: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    text: Option<String>,
    markdown: Option<String>,
    id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ArtifactLocation {
    uri: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Region {
    start_line: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Suppression {
    status: Option<String>,
}

impl Finding {
    /// Sections 3.27.9, 3.27.10 and 3.27.23: what is suppressed or no failure has no level; the level is
    /// that of the result, else that of its rule, else `warning`.
    fn level<'a>(&'a self, rules: &Rules<'a>) -> Option<&'a str> {
        let is_failure = self.kind.as_deref().is_none_or(|it| it == "fail");
        let stands = |it: &Suppression| it.status.as_deref().is_none_or(|it| it == "accepted");
        let is_suppressed = self.suppressions.iter().flatten().any(stands);
        if !is_failure || is_suppressed {
            return None;
        }
        let of_rule = || self.rule(rules)?.default_configuration.level.as_deref();
        self.level.as_deref().or_else(of_rule).or(Some("warning"))
    }

    fn rule<'a>(&self, rules: &Rules<'a>) -> Option<&'a Rule> {
        let index = self.rule_index.or_else(|| self.rule.as_ref()?.index);
        let by_index = index.and_then(|it| rules.listed.get(usize::try_from(it).ok()?));
        by_index.or_else(|| rules.by_id.get(self.id()?).copied())
    }

    fn id(&self) -> Option<&str> {
        self.rule_id.as_deref().or_else(|| self.rule.as_ref()?.id.as_deref())
    }

    fn failure(&self, rules: &Rules<'_>) -> Failure {
        let place = self.locations.first().map(|it| &it.physical_location);
        let name = self.id().or_else(|| Some(self.rule(rules)?.id.as_str()));
        let message = &self.message;
        let text = message.text.as_ref().or(message.markdown.as_ref()).or(message.id.as_ref());
        Failure {
            name: bounded(name.unwrap_or("a finding without a rule")),
            message: bounded(text.map_or("", String::as_str).trim()),
            file: place.and_then(|it| it.artifact_location.uri.as_deref()).map(bounded),
            line: place.and_then(|it| it.region.start_line),
        }
    }
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

//! What became of a run, for the person who waited for it: failures first, and what to do next.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{View, format, shell_word};
use crate::model::{CaseOutcome, FailureClass, RunStatus, StageIndex, StageStatus};
use crate::runs::view::{CaseView, GateView, ModelCallsView, RunView, StageView};

/// Test cases of a stage that are named.
const CASES_SHOWN: usize = 10;
/// Letters of a message beside a name.
const MESSAGE_CHARS: usize = 160;

/// What of a run stands in no view of it.
#[derive(Debug, Clone, Default)]
pub struct Ends {
    /// The ends of the logs of failed stages.
    pub logs: BTreeMap<StageIndex, Vec<String>>,
    /// Test cases that failed or were flaky.
    pub cases: Vec<CaseView>,
    /// Dollars that processes may have spent on models which died before they could say; `None` for nothing.
    pub lost_usd: Option<String>,
}

/// A run for a program: as the API has it, with what only this machine knows.
#[derive(Debug, Clone, Serialize)]
pub struct Told<'a> {
    #[serde(flatten)]
    run: &'a RunView,
    /// As in [`Ends`]; absent for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_usd: Option<&'a str>,
}

impl<'a> Told<'a> {
    /// The run, with its ends.
    #[must_use]
    pub fn new(run: &'a RunView, ends: &'a Ends) -> Self {
        Self { run, lost_usd: ends.lost_usd.as_deref() }
    }
}

/// Everything worth saying at the end: the verdict, each failed stage with its reason and the end of
/// its log, gates, tests, artifacts, and commands for what comes next.
#[must_use]
pub fn lines(view: View<'_>, ends: &Ends) -> Vec<String> {
    let mut lines = vec![String::new(), verdict(view)];
    lines.extend(cancelled(view));
    for stage in view.stages() {
        if stage.status == StageStatus::Failed {
            lines.extend(failure(view, stage, ends.logs.get(&stage.stage)));
        }
    }
    lines.extend(gates(view));
    lines.extend(tests(view, &ends.cases));
    lines.extend(model_calls(view, ends.lost_usd.as_deref()));
    lines.extend(warnings(view));
    lines.extend(artifacts(view));
    lines.extend(next(view));
    lines
}

/// `✗ assistant #12 failed in 12.3s`
fn verdict(view: View<'_>) -> String {
    let status = view.run.status;
    let (glyph, paint): (_, fn(_, &str) -> String) = match status {
        RunStatus::Passed => ("✓", super::Paint::green),
        RunStatus::Failed => ("✗", super::Paint::red),
        RunStatus::Cancelled | RunStatus::Cancelling => ("■", super::Paint::yellow),
        RunStatus::Waiting => ("?", super::Paint::yellow),
        RunStatus::Queued | RunStatus::Running => ("●", super::Paint::cyan),
    };
    let (name, time) = (&view.run.pipeline, format::duration(view.time_of_run()));
    if view.run.interrupted {
        let number = view.run.number;
        return view.paint.yellow(&format!("■ {name} #{number} was {}", format::INTERRUPTED));
    }
    let ended = if status.is_finished() { "in" } else { "for" };
    paint(view.paint, &format!("{glyph} {name} #{} {status} {ended} {time}", view.run.number))
}

/// `  cancelled by ada: wrong branch`
fn cancelled(view: View<'_>) -> Option<String> {
    let by = view.run.cancelled_by.as_deref()?;
    let reason = view.run.cancel_reason.as_deref().map(|it| format!(": {it}"));
    Some(view.paint.dim(&format!("  cancelled by {by}{}", reason.unwrap_or_default())))
}

fn failure(view: View<'_>, stage: &StageView, log: Option<&Vec<String>>) -> Vec<String> {
    let (class, message) = stage.failure();
    let mut facts = Vec::new();
    facts.extend(class.map(|it| it.to_string()));
    facts.extend(stage.outcome().and_then(|it| it.exit_code).map(|it| format!("exit code {it}")));
    let attempts = stage.present_attempts().len();
    if attempts > 1 {
        facts.push(format!("{attempts} attempts"));
    }
    if stage.allowed {
        facts.push("allowed to fail".to_owned());
    }
    let glyph = view.glyph(stage.status, stage.allowed);
    let name = view.paint.bold(&stage.key);
    let mut lines = vec![String::new(), format!("{glyph} {name}  {}", facts.join(", "))];
    lines.extend(message.lines().map(|it| format!("  {it}")));
    if class == Some(FailureClass::Timeout) && !stage.attempts.is_empty() {
        let logs = view.command(&format!("logs {} {}", view.run.number, shell_word(&stage.key)));
        let help = format!("raise `timeout`, or see where the time went: `{logs} --timestamps`");
        lines.push(format!("  help: {help}"));
    }
    // An attempt that never began has the message in its log, which is said already.
    let is_said = |line: &&String| message.lines().any(|it| it == line.as_str());
    let log = log.map(Vec::as_slice).unwrap_or_default();
    lines.extend(
        log.iter()
            .filter(|it| !is_said(it))
            .map(|it| format!("  {} {}", view.paint.dim("|"), format::tame(it))),
    );
    lines
}

/// Gates of the stages that got as far as being judged.
fn gates(view: View<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for stage in view.stages() {
        let judged_classes = [None, Some(FailureClass::Gate)];
        let is_judged = stage.outcome().is_some_and(|it| judged_classes.contains(&it.class));
        for gate in stage.gates.iter().filter(|_| is_judged) {
            lines.push(format!("  {}", gate_line(view, &stage.key, gate)));
        }
    }
    with_title("gates", lines)
}

fn gate_line(view: View<'_>, key: &str, gate: &GateView) -> String {
    let value = gate.value.map_or_else(|| "not published".to_owned(), format::number);
    let baseline = match gate.baseline {
        Some(it) if gate.comparison.contains("baseline") => {
            format!(", baseline {}", format::number(it))
        }
        _ => String::new(),
    };
    let glyph = if gate.passed { view.paint.green("✓") } else { view.paint.red("✗") };
    format!("{glyph} {key}: {} is {value} (must be {}{baseline})", gate.metric, gate.comparison)
}

/// What each stage called models for, and the sum where there are several.
fn model_calls(view: View<'_>, lost_usd: Option<&str>) -> Vec<String> {
    let all: Vec<_> = view.run.model_calls().collect();
    let mut lines: Vec<_> =
        all.iter().map(|(stage, it)| format!("  {}: {}", stage.key, calls_line(*it))).collect();
    if all.len() > 1 {
        let sum = all.iter().map(|it| it.1).fold(ModelCallsView::default(), ModelCallsView::plus);
        lines.push(format!("  together: {}", calls_line(sum)));
    }
    if let Some(lost) = lost_usd {
        let spend = view.command(&format!("spend --run {} --by stage", view.run.number));
        lines.push(format!("  and up to {lost} USD of processes that died: `{spend}`"));
    }
    with_title("model calls", lines)
}

/// `3 calls, 1200 tokens in, 80 out, 0.0012 USD, 0.5 USD avoided`
fn calls_line(it: ModelCallsView) -> String {
    let avoided = match format::number(it.avoided_usd) {
        none if none == "0" => String::new(),
        some => format!(", {some} USD avoided"),
    };
    let (calls, cost) = (format::count(it.calls, "call"), format::number(it.cost_usd));
    let mut line = format!(
        "{calls}, {} tokens in, {} out, {cost} USD{avoided}",
        it.input_tokens, it.output_tokens
    );
    if it.reports > 0 {
        let (reports, cost) =
            (format::count(it.reports, "report"), format::number(it.reported_usd));
        line += &format!("; {reports} of other use, {cost} USD");
    }
    line
}

/// What stages that did not fail for it should look at.
fn warnings(view: View<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for stage in view.stages() {
        for warning in stage.outcome().map(|it| it.warnings.as_slice()).unwrap_or_default() {
            let (glyph, key) = (view.paint.yellow("!"), &stage.key);
            lines.push(format!("  {glyph} {key}: {}", format::tame(warning)));
        }
    }
    with_title("warnings", lines)
}

fn tests(view: View<'_>, cases: &[CaseView]) -> Vec<String> {
    let mut lines = Vec::new();
    for stage in view.stages() {
        let outcome = stage.outcome();
        let Some(tests) = outcome.and_then(|it| it.tests) else { continue };
        lines.push(format!(
            "  {}: {} passed, {} failed, {} skipped",
            stage.key, tests.passed, tests.failed, tests.skipped
        ));
        lines.extend(named(view, stage, cases));
    }
    with_title("tests", lines)
}

/// Cases that failed or were flaky in the attempt that counts, unless its message names them already.
fn named(view: View<'_>, stage: &StageView, cases: &[CaseView]) -> Vec<String> {
    let (_, message) = stage.failure();
    let is_news = |it: &&CaseView| {
        let is_told = it.outcome.is_failure() && message.contains(&it.name);
        it.stage == stage.stage && it.counts && it.outcome != CaseOutcome::Passed && !is_told
    };
    let news: Vec<_> = cases.iter().filter(is_news).collect();
    let mut lines: Vec<_> =
        news.iter().take(CASES_SHOWN).map(|it| format!("    {}", case_line(view, it))).collect();
    if let Some(more) = news.len().checked_sub(CASES_SHOWN).filter(|it| *it > 0) {
        lines.push(format!("    and {more} more"));
    }
    lines
}

fn case_line(view: View<'_>, case: &CaseView) -> String {
    let glyph =
        if case.outcome.is_failure() { view.paint.red("✗") } else { view.paint.yellow("↻") };
    let flaky = if case.flaky { " (flaky)" } else { "" };
    let message = case.message.lines().next().unwrap_or_default();
    let message: String = message.chars().take(MESSAGE_CHARS).collect();
    let said = if message.is_empty() { String::new() } else { format!(": {message}") };
    format!("{glyph} {}{flaky}{}", format::tame(&case.full_name()), format::tame(&said))
}

fn artifacts(view: View<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for stage in view.stages() {
        let outcome = stage.outcome();
        for artifact in outcome.map(|it| it.artifacts.as_slice()).unwrap_or_default() {
            let files = format::count(artifact.files, "file");
            let size = format::bytes(artifact.shown_bytes());
            lines.push(format!("  {}: {} ({files}, {size})", stage.key, artifact.path));
        }
    }
    with_title("artifacts", lines)
}

fn with_title(title: &str, lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() {
        return lines;
    }
    let mut titled = vec![String::new(), format!("{title}:")];
    titled.extend(lines);
    titled
}

/// `run eval --project shop/web`, which begins anew where a re-run would go on.
fn new_run(view: View<'_>) -> String {
    let pipeline = shell_word(&view.run.pipeline);
    if view.run.project.is_empty() {
        return format!("run {pipeline}{}", view.given);
    }
    format!("run {pipeline} --project {}", shell_word(&view.run.repository))
}

/// Commands that make sense now.
fn next(view: View<'_>) -> Vec<String> {
    let (number, given) = (view.run.number, view.given);
    let mut commands: Vec<(String, &str)> = Vec::new();
    let failed = view.stages().find(|it| it.status == StageStatus::Failed && !it.allowed);
    if let Some(stage) = failed {
        let key = shell_word(&stage.key);
        if !stage.attempts.is_empty() {
            commands.push((view.command(&format!("logs {number} {key}")), "the whole log"));
        }
        if view.keeps_containers && !stage.step_names.is_empty() {
            let what = "look around in its container";
            commands.push((view.command(&format!("shell {number} {key}")), what));
        }
    }
    if view.run.interrupted {
        commands.push((view.command(&format!("resume {number}{given}")), "go on with it"));
    }
    if matches!(view.run.status, RunStatus::Failed | RunStatus::Cancelled) {
        commands.push(if view.stages().any(StageView::is_over_own_budget) {
            (view.command(&new_run(view)), "a new run, once its `budget` is raised")
        } else {
            let command = view.command(&format!("rerun --failed {number}{given}"));
            (command, "try again what did not pass")
        });
    }
    if !artifacts(view).is_empty() {
        commands.push((
            view.command(&format!("artifacts {number} --download DIR")),
            "get the artifacts",
        ));
    }
    let columns = commands.iter().map(|(it, _)| it.len()).max().unwrap_or(0);
    let lines = commands
        .iter()
        .map(|(command, what)| format!("  {command:columns$}  {}", view.paint.dim(what)));
    with_title("next", lines.collect())
}

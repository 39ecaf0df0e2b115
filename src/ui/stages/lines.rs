//! Lines and sections of a log as HTML and as what the script reads.

use std::fmt::Write as _;

use super::address::Address;
use super::ansi::Printer;
use crate::blobs::OUTPUT_SECTION;
use crate::desk::logs::{LogWindow, Outline, OutlineSection, WindowLine};
use crate::model::Timestamp;
use crate::runs::view::{AttemptView, StageView};
use crate::ui::shell::markup::escape_html;
use crate::ui::words::Words;

/// A log as the script knows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutlineBody {
    attempt: u32,
    lines: u64,
    is_complete: bool,
    sections: Vec<SectionBody>,
}

/// A section as the script knows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SectionBody {
    id: String,
    /// Its first line.
    first: u64,
    /// Absent where lines stand without a head.
    title: Option<String>,
    /// How it ended.
    note: String,
    status: &'static str,
    is_folded: bool,
}

/// Lines of one section, for a page without scripts.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) title: String,
    pub(super) note: String,
    /// Elements `li`, escaped.
    pub(super) lines: String,
}

impl OutlineBody {
    pub(super) fn of(outline: &Outline, stage: &StageView, words: Words) -> Self {
        let attempt = attempt_of(stage, outline.attempt);
        let has_failed =
            attempt.and_then(|it| it.outcome.as_ref()).is_some_and(|it| it.class.is_some());
        let is_only = outline.sections.iter().filter(|it| it.step.is_some()).count() < 2;
        let section = |it: &OutlineSection| {
            let (note, status) = note(attempt, it, words);
            let is_done = it.is_engine || (has_failed && status == "passed");
            SectionBody {
                id: id(it),
                first: it.first_line,
                title: title(stage, outline, it),
                note,
                status,
                is_folded: is_done && (it.is_engine || !is_only) && outline.sections.len() > 1,
            }
        };
        Self {
            attempt: outline.attempt,
            lines: outline.lines,
            is_complete: outline.is_complete,
            sections: outline.sections.iter().map(section).collect(),
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

pub(super) fn attempt_of(stage: &StageView, attempt: u32) -> Option<&AttemptView> {
    stage.attempts.iter().find(|it| it.attempt == attempt)
}

/// The name of a step, or its number.
pub(super) fn step_title(stage: &StageView, step: u32) -> String {
    let name = usize::try_from(step).ok().and_then(|it| stage.step_names.get(it));
    name.filter(|it| !it.is_empty())
        .cloned()
        .unwrap_or_else(|| format!("Step {}", u64::from(step) + 1))
}

fn id(section: &OutlineSection) -> String {
    match (section.step, section.is_engine) {
        (Some(step), _) => format!("step-{step}"),
        (None, true) => "preparation".to_owned(),
        (None, false) => "output".to_owned(),
    }
}

fn title(stage: &StageView, outline: &Outline, section: &OutlineSection) -> Option<String> {
    let has_steps = outline.sections.iter().any(|it| it.step.is_some());
    match (section.step, section.is_engine) {
        (Some(step), _) => Some(step_title(stage, step)),
        (None, true) => (outline.sections.len() > 1).then(|| "Preparation".to_owned()),
        (None, false) => (!has_steps && outline.sections.len() > 1).then(|| "Output".to_owned()),
    }
}

/// How the step of a section ended.
fn note(
    attempt: Option<&AttemptView>,
    section: &OutlineSection,
    words: Words,
) -> (String, &'static str) {
    let steps = attempt.map_or(&[] as &[_], |it| it.steps.as_slice());
    let step = section.step.and_then(|step| steps.iter().find(|it| it.step == step));
    let Some(step) = step else { return (String::new(), "") };
    let Some(end) = step.finished_at else {
        let is_open = attempt.is_some_and(|it| it.finished_at.is_none());
        return if is_open {
            ("running".to_owned(), "running")
        } else {
            ("not finished".to_owned(), "failed")
        };
    };
    let took = words.span(end.since(step.started_at));
    match step.exit_code {
        Some(0) => (took, "passed"),
        Some(code) => (format!("exit code {code} after {took}"), "failed"),
        None => (took, ""),
    }
}

/// The lines of a window as elements `li`, one string a line.
pub(super) fn rows(
    window: &LogWindow,
    (address, attempt): (&Address, u32),
    started_at: Timestamp,
) -> Vec<String> {
    let mut printer = Printer::default();
    let mut step = None;
    for line in &window.before {
        let its = line.section.filter(|it| *it != OUTPUT_SECTION);
        change(&mut printer, &mut step, its);
        printer.skip(&line.text);
    }
    let row = |line: &WindowLine| {
        change(&mut printer, &mut step, line.step);
        let text = printer.print(&line.text);
        row(line, &text, (address, attempt), started_at)
    };
    window.lines.iter().map(row).collect()
}

/// What one step has coloured does not go on in the next.
fn change(printer: &mut Printer, step: &mut Option<u32>, to: Option<u32>) {
    if *step != to {
        printer.reset();
        *step = to;
    }
}

fn row(
    line: &WindowLine,
    text: &str,
    (address, attempt): (&Address, u32),
    started_at: Timestamp,
) -> String {
    let number = line.number;
    let (since, clock) = (since(line.at, started_at), clock(line.at));
    let mut html = String::with_capacity(text.len() + 160);
    let _never_fails = write!(
        html,
        r#"<li id="L{number}" data-s="{since}" data-c="{clock}"><a class="log-number" tabindex="-1" href="?attempt={attempt}&amp;line={number}#L{number}">{number}</a><span>{text}</span>"#
    );
    if line.missing_bytes > 0 {
        html.push_str("<a class=\"log-missing\" href=\"");
        escape_html(&mut html, &address.raw(attempt));
        let bytes = line.missing_bytes;
        let _never_fails =
            write!(html, "\">cut here: {bytes} more bytes of this line are in the raw log</a>");
    }
    html.push_str("</li>");
    html
}

/// `1:02:03` or `2:03` after the attempt began.
fn since(at: Timestamp, started_at: Timestamp) -> String {
    let seconds = at.since(started_at).0 / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// `12:34:56` UTC.
fn clock(at: Timestamp) -> String {
    let seconds = at.0.max(0) / 1000 % 86400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The lines of a window by section.
pub(super) fn groups(
    window: &LogWindow,
    rows: Vec<String>,
    (outline, stage): (&Outline, &StageView),
    words: Words,
) -> Vec<Group> {
    let attempt = attempt_of(stage, outline.attempt);
    let mut groups: Vec<(usize, Group)> = Vec::new();
    for (line, row) in window.lines.iter().zip(rows) {
        let place = outline.sections.iter().rposition(|it| it.first_line <= line.number);
        let place = place.unwrap_or(0);
        if groups.last().is_none_or(|it| it.0 != place) {
            let section = outline.sections.get(place);
            let title = section.and_then(|it| title(stage, outline, it)).unwrap_or_default();
            let note = section.map_or_else(String::new, |it| note(attempt, it, words).0);
            groups.push((place, Group { title, note, lines: String::new() }));
        }
        if let Some((_, group)) = groups.last_mut() {
            group.lines.push_str(&row);
        }
    }
    groups.into_iter().map(|it| it.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_since_the_beginning_and_by_the_clock() {
        assert_eq!(since(Timestamp(65_999), Timestamp(1000)), "1:04");
        assert_eq!(since(Timestamp(3_725_000), Timestamp(0)), "1:02:05");
        assert_eq!(since(Timestamp(0), Timestamp(1000)), "0:00");
        assert_eq!(clock(Timestamp(1_700_000_000_123)), "22:13:20");
    }

    #[test]
    fn a_line_that_was_cut_says_how_much_is_missing_and_where_it_is() {
        let line = WindowLine {
            number: 7,
            step: None,
            at: Timestamp(0),
            text: String::new(),
            missing_bytes: 12,
        };
        let html = row(&line, "<b>", (&Address::new("7", "a\"b"), 2), Timestamp(0));
        assert!(html.contains("12 more bytes"), "{html}");
        assert!(
            html.contains("/api/v1/runs/7/stages/a%22b/log?attempt=2&#38;format=text"),
            "{html}"
        );
    }
}

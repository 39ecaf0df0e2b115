//! What an approval would let through, for the person who is asked.

use super::{View, format, shell_word};
use crate::approvals::{MetricChange, Part, ShownApproval};

/// Files of one part that are named.
const FILES_SHOWN: usize = 10;

/// Who is asked, who has answered, and what differs from the last green run.
#[must_use]
pub fn lines(view: View<'_>, shown: &ShownApproval) -> Vec<String> {
    let name = view.paint.bold(&shown.key);
    let missing = format::count(u64::from(shown.missing), "approval");
    let mut lines = vec![String::new(), format!("? {name}  waits for {missing}{}", who(shown))];
    for answer in &shown.answers {
        let word = if answer.is_approved { "approved" } else { "rejected" };
        let why = if answer.comment.is_empty() { "" } else { ": " };
        let past = if answer.is_past { " before it was run again" } else { "" };
        let comment = format::tame(&answer.comment);
        lines.push(format!("  {word} by {}{past}{why}{comment}", answer.by));
    }
    let Some(base) = &shown.base else {
        lines.push("  there is no green run before it to compare with".to_owned());
        return with_commands(view, shown, lines);
    };
    lines.push(format!("  compared with run #{}: {}", base.number, format::tame(&base.title)));
    if let Some(problem) = &shown.problem {
        lines.push(format!("  the files cannot be compared: {problem}"));
    }
    for part in shown.parts.iter().flatten() {
        lines.extend(part_lines(part));
    }
    if shown.parts.as_ref().is_some_and(Vec::is_empty) {
        lines.push("  no file differs".to_owned());
    }
    lines.extend(shown.metrics.iter().map(metric_line));
    with_commands(view, shown, lines)
}

fn who(shown: &ShownApproval) -> String {
    let by = &shown.asked.by;
    let of = if by.is_empty() { String::new() } else { format!(" of {}", by.join(", ")) };
    let but = if shown.asked.not_author { ", not of the author" } else { "" };
    format!("{of}{but}")
}

fn part_lines(part: &Part) -> Vec<String> {
    let all = part.files.len() + part.more_files;
    let count = format::count(all as u64, "file");
    let (added, removed) = (part.added, part.removed);
    let mut lines = vec![format!("  {}: {count}, +{added} -{removed}", part.kind.as_str())];
    for file in part.files.iter().take(FILES_SHOWN) {
        let lines_of = if file.is_binary {
            "binary".to_owned()
        } else {
            format!("+{} -{}", file.added, file.removed)
        };
        lines.push(format!("    {} ({lines_of})", format::tame(&file.path)));
    }
    let more = all.saturating_sub(part.files.len().min(FILES_SHOWN));
    if more > 0 {
        lines.push(format!("    and {more} more"));
    }
    lines
}

fn metric_line(change: &MetricChange) -> String {
    let value = |it: Option<f64>| it.map_or_else(|| "not there".to_owned(), format::number);
    let (before, now) = (value(change.before), value(change.now));
    format!("  {}: {} is {now}, was {before}", change.stage, change.metric)
}

fn with_commands(view: View<'_>, shown: &ShownApproval, mut lines: Vec<String>) -> Vec<String> {
    let (number, key) = (view.run.number, shell_word(&shown.key));
    let command = view.command(&format!("approve {number} {key}"));
    lines.push(format!("  {command}  {}", view.paint.dim("let it through; `reject` does not")));
    lines
}

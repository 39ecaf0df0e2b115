//! A diagnostic as plain text.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::{Diagnostic, SourceFile};
use crate::model::is_turning;

/// Characters of a source line that are shown; longer lines are cut around the problem.
const WIDTH: usize = 110;

pub(super) fn render(diagnostic: &Diagnostic, sources: &[SourceFile]) -> String {
    let Diagnostic { code, severity, message, file, line, column, .. } = diagnostic;
    let mut text = format!("{}[{code}]: {message}\n", severity.as_str());
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let _ = writeln!(text, "{margin}--> {file}:{line}:{column}");
    let source = sources.iter().find(|source| source.name == *file);
    if let Some(source) = source {
        let shown = Excerpt::of(&source.text, diagnostic);
        let _ = writeln!(text, "{margin} |");
        let _ = writeln!(text, "{}", format!("{number} | {}", shown.line).trim_end());
        let _ = writeln!(text, "{margin} | {}{}", shown.indent, "^".repeat(shown.width));
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(text, "{margin} = help: {help}");
    }
    text
}

/// A source line, and where in it to underline.
struct Excerpt {
    line: String,
    indent: String,
    width: usize,
}

impl Excerpt {
    fn of(text: &str, diagnostic: &Diagnostic) -> Self {
        let start = floor(text, diagnostic.span.start);
        let end = floor(text, diagnostic.span.start.saturating_add(diagnostic.span.len)).max(start);
        let (before, after) = text.split_at(start);
        let before = before.rsplit_once('\n').map_or(before, |(_, line)| line);
        let marked = text.get(start..end).unwrap_or_default();
        let marked = marked.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let after = after.split('\n').next().unwrap_or_default();
        let rest = after.strip_prefix(marked).unwrap_or_default();
        Self::cut(before, marked, rest.trim_end_matches('\r'))
    }

    fn cut(before: &str, marked: &str, after: &str) -> Self {
        let (before_width, marked_width) = (before.chars().count(), marked.chars().count());
        let all = before_width + marked_width + after.chars().count();
        let (skip, lead) = if all > WIDTH && before_width > WIDTH / 2 {
            (before_width - WIDTH / 4, "… ")
        } else {
            (0, "")
        };
        let before: String = lead.chars().chain(before.chars().skip(skip)).map(plain).collect();
        let left = WIDTH.saturating_sub(before.chars().count()).max(1);
        let tail = marked.chars().chain(after.chars());
        let mut line: String = before.chars().chain(tail.map(plain).take(left)).collect();
        if marked_width + after.chars().count() > left {
            line.push_str(" …");
        }
        let shown: String = marked.chars().map(plain).take(left).collect();
        Self { line, indent: " ".repeat(before.width()), width: shown.width().max(1) }
    }
}

/// Characters that would move the cursor or turn the text around are shown as others of one column,
/// so that the marks stay in line.
fn plain(c: char) -> char {
    match c {
        '\u{feff}' | '\u{200e}' | '\u{200f}' => '·',
        c if is_turning(c) => '·',
        c if c.is_control() => ' ',
        c => c,
    }
}

fn floor(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

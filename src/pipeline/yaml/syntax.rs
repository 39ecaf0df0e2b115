//! Text that is not YAML, in words for people.

use crate::model::is_turning;
use crate::pipeline::diagnostic::Place;
use crate::pipeline::reading::Reading;

/// Invisible characters that are told; a file with more of them is no text.
const MOST_HIDDEN: usize = 20;

/// Refuses what must not reach the parser: too much text, and characters that end or hide it.
pub(super) fn can_be_read(text: &str, source: usize, reading: &Reading) -> bool {
    if text.len() > super::MOST_BYTES {
        let message = format!("the file has {} bytes; the limit is 1 MiB", text.len());
        let help = "split it, and `include` the parts";
        reading.error("yaml/size", reading.place(source, 0, 0), message, help);
        return false;
    }
    let is_bad = |c: char| (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || is_hidden(c);
    let mut is_fine = true;
    for (index, found) in text.char_indices().filter(|(_, c)| is_bad(*c)).take(MOST_HIDDEN) {
        is_fine = false;
        let place = reading.place(source, index, index + found.len_utf8());
        if index == 0 && found == '\u{feff}' {
            let message = "the file starts with a byte order mark";
            reading.error("yaml/byte-order-mark", place, message, "save it as UTF-8 without BOM");
            continue;
        }
        let code = u32::from(found);
        let message = format!("the file contains the invisible character U+{code:04X}");
        reading.error("yaml/control-character", place, message, "remove it");
    }
    is_fine
}

/// Byte order marks, and characters with which a reader sees something else than runs.
fn is_hidden(c: char) -> bool {
    c == '\u{feff}' || is_turning(c)
}

/// Records what the YAML parser said about the byte `at`, translated. `open` is the innermost
/// unfinished list or mapping.
pub(super) fn report(said: &str, at: usize, open: Option<Place>, text: &str, reading: &Reading) {
    let source = open.map_or(0, |it| it.source);
    let (message, help) = explain(said);
    let mut message = message.unwrap_or_else(|| format!("this is not YAML: {said}"));
    let opened =
        open.filter(|it| text.get(it.start..).is_some_and(|it| it.starts_with(['[', '{'])));
    let is_flow = said.contains("flow") || said.contains("placement of ':'");
    if let (true, Some(open)) = (is_flow, opened) {
        message = format!("{message}, opened on line {}", open.line);
    }
    let is_at_end = text.get(at..).is_none_or(|it| it.trim().is_empty());
    let place = match opened {
        Some(open) if is_flow && is_at_end => open,
        _ if said.contains("tab") => first_tab(text, at, source, reading),
        _ if is_at_end => last_line(text, source, reading),
        _ => reading.place(source, at, at),
    };
    reading.error("yaml/syntax", place, message, help);
}

/// The first tab in the indentation of this line or one after; the parser notices it late or early.
fn first_tab(text: &str, at: usize, source: usize, reading: &Reading) -> Place {
    let before = text.get(..at).unwrap_or_default();
    let mut start = before.rfind('\n').map_or(0, |it| it + 1);
    for line in text.get(start..).unwrap_or_default().split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if let Some(tab) = line.get(..indent).and_then(|it| it.find('\t')) {
            return reading.place(source, start + tab, start + tab + 1);
        }
        start += line.len();
    }
    reading.place(source, at, at)
}

/// The last line that has text, for problems that the parser notices at the end of the file.
fn last_line(text: &str, source: usize, reading: &Reading) -> Place {
    let text = text.trim_end();
    let start = text.rfind('\n').map_or(0, |it| it + 1);
    let line = text.get(start..).unwrap_or_default();
    let start = start + line.len() - line.trim_start().len();
    reading.place(source, start, text.len())
}

fn explain(said: &str) -> (Option<String>, &'static str) {
    let found = EXPLAINED.iter().find(|(part, ..)| said.contains(part));
    match found {
        Some((_, message, help)) => (Some((*message).to_owned()), help),
        None => (None, "check the indentation and the quotes of this line and the one before"),
    }
}

/// Part of what the parser says, what is wrong, and the fix.
const EXPLAINED: &[(&str, &str, &str)] = &[
    (
        "mapping values are not allowed",
        "a `: ` is not possible here",
        "quote a text that contains `: `, or write it as a `|` block; if none is meant, a `:` or the right indentation is missing on the line before",
    ),
    (
        "placement of ':'",
        "a `: ` is not possible inside of `[ … ]`",
        "close the brackets, and quote texts that contain `: `",
    ),
    (
        "must be followed by a valid YAML whitespace",
        "a tab or another sign stands directly after the `:` of a key",
        "write one space after the `:`",
    ),
    ("tab", "a tab stands where only spaces may", "indent with spaces"),
    ("plain scalar cannot start with '-'", "a text must not start with `-` here", "quote it"),
    (
        "flow mapping",
        "a `,` or `}` is missing in the `{ … }`",
        "close the braces, and quote texts that contain `,` `:` `{` or `}`",
    ),
    (
        "flow sequence",
        "a `,` or `]` is missing in the `[ … ]`",
        "close the brackets, and quote texts that contain `,` `[` or `]`",
    ),
    (
        "invalid indentation in flow construct",
        "this line is indented less than the `{ … }` or `[ … ]` it belongs to",
        "indent it more than the key, or close the braces before it",
    ),
    ("unexpected end of stream", "a quote is opened and never closed", "close the quote"),
    (
        "invalid indentation in quoted scalar",
        "a quoted text goes on here with too little indentation",
        "close the quote, or indent the line",
    ),
    (
        "invalid trailing content after double-quoted",
        "something stands after the closing quote",
        "quote the whole value: use `'…\"…\"…'` or a `|` block",
    ),
    (
        "block mapping, did not find expected key",
        "this line fits neither the level above nor the one below",
        "align it with the other keys of its mapping; quote a value that starts with a quote and goes on after it",
    ),
    (
        "block collection, did not find expected '-'",
        "a list item starting with `- ` was expected here",
        "align this line with the other `- ` items, or indent it into the item above",
    ),
    (
        "block sequence entries are not allowed",
        "a list item `- ` is not possible here",
        "start the list on the line after its key",
    ),
    ("simple key expect", "a `:` is missing after this key", "write `key: value`"),
    ("simple key expected", "a `:` is missing after this key", "write `key: value`"),
    (
        "found unknown anchor",
        "no `&anchor` of this name stands before this alias",
        "define it above with `&name`; a text that starts with `*` must be quoted",
    ),
    (
        "anchor or alias",
        "`&` and `*` start an anchor or alias, and a name must follow",
        "quote a text that starts with `&` or `*`",
    ),
    (
        "unknown escape",
        "an escape with `\\` that YAML does not know",
        "use single quotes, in which `\\` is an ordinary character, or write `\\\\`",
    ),
    ("unexpected character: `@'", "a text must not start with `@`", "quote it"),
    ("unexpected character: ``'", "a text must not start with a backtick", "quote it"),
    ("unexpected character: `%'", "a text must not start with `%`", "quote it"),
    (
        "block scalar, did not find expected comment",
        "a `|` or `>` starts a block of text, and something else follows on its line",
        "quote a comparison, such as `\">= 0.85\"`; the text of a block starts on the next line",
    ),
    (
        "wrongly indented line in block scalar",
        "the first lines of this block are indented more than the ones after",
        "indent all lines of the block alike",
    ),
    ("duplicated anchor", "this anchor is defined twice", "rename one of the two"),
    ("recursion limit", "lists and mappings are nested too deeply", "nest less"),
    (
        "misplaced bracket",
        "a closing bracket without its opening one",
        "remove it, or quote the text",
    ),
    (
        "directive",
        "a line that starts with `%` is a YAML directive, which has no meaning here",
        "remove it",
    ),
    (
        "tag",
        "a `!` starts a YAML tag, which has no meaning here",
        "quote a text that starts with `!`",
    ),
];

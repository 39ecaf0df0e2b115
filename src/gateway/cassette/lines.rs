//! The lines of a cassette's file: read as entries; what is wrong with one, and how it is mended. Pure.

use std::path::Path;
use std::sync::Arc;

use super::CassetteError;
use super::entry::Entry;

/// What a merge leaves in a file that it cannot decide upon.
const CONFLICT_MARKS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];
/// What some editors begin a file with.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The entries of a text, each with its line, from 1.
pub(super) fn read(file: &Path, text: &str) -> Result<Vec<(usize, Entry)>, CassetteError> {
    let lines = text.lines().map(|it| it.trim_start_matches(BYTE_ORDER_MARK));
    let lines = lines.enumerate().filter(|it| !it.1.trim().is_empty());
    lines
        .map(|(index, line)| {
            entry(line).map(|it| (index + 1, it)).map_err(|(cause, help)| CassetteError::Line {
                file: file.display().to_string(),
                line: index + 1,
                cause,
                help,
            })
        })
        .collect()
}

/// The text of entries, a line for each.
pub(super) fn write<'a>(entries: impl Iterator<Item = &'a Arc<Entry>>) -> String {
    let mut text = String::new();
    for entry in entries {
        text.push_str(&serde_json::to_string(&**entry).unwrap_or_default());
        text.push('\n');
    }
    text
}

/// The entry, or what is wrong and what to do.
fn entry(line: &str) -> Result<Entry, (String, &'static str)> {
    if CONFLICT_MARKS.iter().any(|it| line.starts_with(it)) {
        let help = "keep the entries of both sides, and delete the lines of the marks";
        return Err(("it is a mark of a merge conflict".to_owned(), help));
    }
    serde_json::from_str(line).map_err(|error| {
        // It is one line of many, whatever the parser takes it for.
        let cause = error.to_string().replace(" at line 1 column ", " at column ");
        let cause = if error.is_eof() { format!("it is cut off ({cause})") } else { cause };
        (cause, "restore the line, or delete it and record its call anew")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str =
        r#"{"path":"/v1/messages","key":"k","request":{},"response":{"status":200,"text":"x"}}"#;

    fn complaint(text: &str) -> String {
        read(Path::new("a.jsonl"), text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_with_what_to_do() {
        let ours = format!("{ENTRY}\n<<<<<<< HEAD\n{ENTRY}\n");
        insta::assert_snapshot!(complaint(&ours), @"line 2 of the cassette `a.jsonl` is not an entry: it is a mark of a merge conflict; keep the entries of both sides, and delete the lines of the marks");
        let cut = complaint("\n{\"path\":\"/v1");
        assert!(
            cut.starts_with("line 2 of the cassette `a.jsonl` is not an entry: it is cut off ("),
            "{cut}"
        );
        let other = complaint("{\"path\":1}\n");
        for text in [cut, other] {
            assert!(!text.contains("line 1 column"), "{text}");
            let help = "; restore the line, or delete it and record its call anew";
            assert!(text.ends_with(help), "{text}");
        }
    }

    #[test]
    fn a_byte_order_mark_and_lines_of_windows_are_read_over() {
        let text = format!("\u{feff}{ENTRY}\r\n\u{feff}\r\n\u{feff}{ENTRY}\r\n");
        let lines = read(Path::new("a.jsonl"), &text).unwrap();
        assert_eq!(lines.iter().map(|it| it.0).collect::<Vec<_>>(), [1, 3]);
    }
}

//! What text from elsewhere may do to a terminal: show colours, and nothing else. A log, a commit or a
//! comment must not move the cursor, set titles, write over what is said about it or turn it around.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::cli::view::paint::Paint;
use crate::model::is_turning;

const RESET: &str = "\x1b[0m";
const DELETE: u8 = 0x7f;
/// First byte of the control characters beyond ASCII (C1) in UTF-8.
const C1_LEAD: u8 = 0xc2;
/// First byte of the characters in UTF-8 that turn text around.
const TURNING_LEAD: u8 = 0xe2;

/// The text without control sequences and control characters, but for tabs and line feeds and, where
/// there are colours, those (SGR sequences). A colour ends with its line. What would turn text around is named.
#[must_use]
pub fn safe(text: &str, paint: Paint) -> Cow<'_, str> {
    let may_control = |it: u8| {
        (it < b' ' && it != b'\t' && it != b'\n') || [DELETE, C1_LEAD, TURNING_LEAD].contains(&it)
    };
    if !text.bytes().any(may_control) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut is_colored = false;
    let mut rest = text;
    while let Some(at) = rest.find(|it: char| (it.is_control() && it != '\t') || is_turning(it)) {
        let (before, control) = rest.split_at(at);
        safe.push_str(before);
        if let Some(turning) = control.chars().next().filter(|it| is_turning(*it)) {
            let _ = write!(safe, "[U+{:04X}]", u32::from(turning));
            rest = control.get(turning.len_utf8()..).unwrap_or_default();
            continue;
        }
        let sequence = Sequence::at_start_of(control);
        rest = control.get(sequence.length..).unwrap_or_default();
        if control.starts_with('\n') {
            end_line(&mut safe, &mut is_colored);
            safe.push('\n');
        } else if let Some(codes) = sequence.color.filter(|_| paint.is_on) {
            safe.extend(["\x1b[", codes, "m"]);
            is_colored = codes.contains(|it: char| it.is_ascii_digit() && it != '0');
        }
    }
    safe.push_str(rest);
    end_line(&mut safe, &mut is_colored);
    Cow::Owned(safe)
}

fn end_line(text: &mut String, is_colored: &mut bool) {
    if std::mem::take(is_colored) {
        text.push_str(RESET);
    }
}

/// A control character with what belongs to it (ECMA-48, 5.3 to 5.6).
struct Sequence<'a> {
    length: usize,
    /// The codes, when it sets colours.
    color: Option<&'a str>,
}

impl<'a> Sequence<'a> {
    /// `text` begins with a control character. One that begins nothing stands for itself.
    fn at_start_of(text: &'a str) -> Self {
        let mut chars = text.chars();
        let first = chars.next().unwrap_or_default();
        let escaped = if first == '\x1b' { chars.next() } else { None };
        let alone = first.len_utf8();
        let head = alone + escaped.map_or(0, char::len_utf8);
        match escaped.unwrap_or(first) {
            '[' | '\u{9b}' => Self::parameters(text, head),
            ']' | 'P' | 'X' | '^' | '_' | '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => Self {
                length: head + string_length(text.get(head..).unwrap_or_default()),
                color: None,
            },
            ' '..='/' => {
                let more = count(text.get(head..), |it| matches!(it, b' '..=b'/'));
                let end = count(text.get(head + more..), |it| matches!(it, b'0'..=b'~')).min(1);
                Self { length: head + more + end, color: None }
            }
            '0'..='~' => Self { length: head, color: None },
            _ => Self { length: alone, color: None },
        }
    }

    /// Parameters, intermediate bytes and a final one, as far as they are there.
    fn parameters(text: &'a str, head: usize) -> Self {
        let parameters = count(text.get(head..), |it| matches!(it, b'0'..=b'?'));
        let until = head + parameters;
        let between = count(text.get(until..), |it| matches!(it, b' '..=b'/'));
        let end = until + between;
        let last = text.as_bytes().get(end).filter(|it| matches!(it, b'@'..=b'~'));
        let codes = text.get(head..until).unwrap_or_default();
        let is_color = last == Some(&b'm') && between == 0 && codes.bytes().all(|it| it < b'<');
        Self { length: end + usize::from(last.is_some()), color: is_color.then_some(codes) }
    }
}

fn count(text: Option<&str>, is_one: impl Fn(&u8) -> bool) -> usize {
    text.unwrap_or_default().bytes().take_while(is_one).count()
}

/// Bytes of a control string, its terminator included. One without an end ends with its line.
fn string_length(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((at, it)) = chars.next() {
        match it {
            '\n' => return at,
            '\x07' | '\u{9c}' => return at + it.len_utf8(),
            '\x1b' if chars.peek().is_some_and(|(_, next)| *next == '\\') => return at + 2,
            _ => (),
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        safe(text, Paint { is_on: false }).into_owned()
    }

    fn colored(text: &str) -> String {
        safe(text, Paint { is_on: true }).into_owned()
    }

    #[test]
    fn colours_stay_on_a_terminal_and_end_with_their_line() {
        assert_eq!(colored("\x1b[1;31mred\x1b[0m"), "\x1b[1;31mred\x1b[0m");
        assert_eq!(colored("\x1b[38:2::1:2:3mone\ntwo"), "\x1b[38:2::1:2:3mone\x1b[0m\ntwo");
        assert_eq!(colored("\u{9b}32mgreen\x1b[m"), "\x1b[32mgreen\x1b[m");
        assert_eq!(plain("\x1b[1;31mred\x1b[0m \u{9b}32mgreen"), "red green");
    }

    #[test]
    fn whatever_else_a_terminal_obeys_is_left_out() {
        for sequence in [
            "\x1b[2J",
            "\x1b[1;1H",
            "\x1b[?1049h",
            "\x1b[>4;2m",
            "\x1b[?4m",
            "\x1b[6n",
            "\x1b[0 q",
            "\x1b]0;title\x07",
            "\x1b]8;;https://example.org\x1b\\",
            "\x1bP+q544e\x1b\\",
            "\x1b_x\u{9c}",
            "\x1bc",
            "\x1b7",
            "\x1b(B",
            "\x1b#8",
            "\u{9d}0;title\u{9c}",
            "\u{90}x\x1b\\",
            "\u{85}",
            "\x07",
            "\x08",
            "\r",
            "\x0b",
            "\x0c",
            "\x0e",
            "\x7f",
            "\0",
            "\x1b",
        ] {
            let text = format!("a{sequence}\u{2713}");
            assert_eq!((colored(&text), plain(&text)), ("a✓".into(), "a✓".into()), "{text:?}");
        }
    }

    #[test]
    fn a_sequence_without_an_end_hides_no_other_line() {
        assert_eq!(colored("a\x1b]0;title\nb\x1b[12\nc\x1b"), "a\nb\nc");
    }

    #[test]
    fn what_turns_text_around_is_named() {
        assert_eq!(plain("safe \u{202e}egnahc\u{202c} – ü\n"), "safe [U+202E]egnahc[U+202C] – ü\n");
        assert_eq!(colored("\x1b[31ma\u{2066}b\x1b[m"), "\x1b[31ma[U+2066]b\x1b[m");
    }

    #[test]
    fn tabs_lines_and_letters_stay_as_they_are() {
        let text = "naïve\t模型 é\u{a0}x\n\n";
        assert_eq!(colored(text), text);
        assert!(matches!(safe("plain\ttext\n", Paint { is_on: false }), Cow::Borrowed(_)));
    }
}

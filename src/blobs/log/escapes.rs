//! Escape sequences in what programs print (ECMA-48, fifth edition, sections 5.3 to 5.6). Pure.

/// First byte of every escape sequence.
pub const ESCAPE: u8 = 0x1B;
const BELL: u8 = 0x07;

/// Length of the escape sequence that `bytes` begins with, at least 1. A string (a title, a link) that is not
/// ended in its line counts as its first two bytes, so that no text is lost.
#[must_use]
pub fn escape_length(bytes: &[u8]) -> usize {
    match bytes.get(1) {
        Some(b'[') => control_length(bytes),
        Some(b']' | b'P' | b'X' | b'^' | b'_') => string_length(bytes).unwrap_or(2),
        Some(0x20..=0x2F) => {
            let between = bytes.iter().skip(1).take_while(|it| matches!(it, 0x20..=0x2F)).count();
            let is_ended = bytes.get(1 + between).is_some_and(|it| matches!(it, 0x30..=0x7E));
            1 + between + usize::from(is_ended)
        }
        Some(0x30..=0x7E) => 2,
        Some(_) | None => 1,
    }
}

/// Parameters, what stands between, and the letter that ends it, if it is there.
fn control_length(bytes: &[u8]) -> usize {
    let inside = bytes.iter().skip(2).take_while(|it| matches!(it, 0x20..=0x3F)).count();
    let is_ended = bytes.get(2 + inside).is_some_and(|it| matches!(it, 0x40..=0x7E));
    2 + inside + usize::from(is_ended)
}

fn string_length(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes.iter().enumerate().skip(2);
    let (at, end) = rest.find(|(_, it)| matches!(**it, BELL | ESCAPE | b'\n'))?;
    match *end {
        BELL => Some(at + 1),
        ESCAPE if bytes.get(at + 1) == Some(&b'\\') => Some(at + 2),
        _ => None,
    }
}

/// Whole lines as they read without their escape sequences, with the same line feeds.
pub(super) fn without_escapes(lines: &[u8], plain: &mut Vec<u8>) {
    plain.clear();
    let mut rest = lines;
    while let Some(at) = rest.iter().position(|it| *it == ESCAPE) {
        plain.extend_from_slice(rest.get(..at).unwrap_or_default());
        let escape = rest.get(at..).unwrap_or_default();
        rest = escape.get(escape_length(escape)..).unwrap_or_default();
    }
    plain.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_each_kind_of_sequence() {
        for (text, length) in [
            ("\u{1b}", 1),
            ("\u{1b}[", 2),
            ("\u{1b}[0m", 4),
            ("\u{1b}[38;2;1;2;3mx", 13),
            ("\u{1b}[?25hx", 6),
            ("\u{1b}[1 qx", 5),
            ("\u{1b}[31", 4),
            ("\u{1b}[31\u{1b}[0m", 4),
            ("\u{1b}[3ä", 3),
            ("\u{1b}(Bx", 3),
            ("\u{1b}(", 2),
            ("\u{1b}7x", 2),
            ("\u{1b}ä", 1),
            ("\u{1b}]0;title\u{7}x", 10),
            ("\u{1b}]8;;http://a\u{1b}\\x", 15),
            ("\u{1b}Pq\u{1b}\\x", 5),
            ("\u{1b}]0;no end", 2),
            ("\u{1b}]0;no end\nmore\u{7}", 2),
            ("\u{1b}]0;no end\u{1b}[0m\u{7}", 2),
        ] {
            assert_eq!(escape_length(text.as_bytes()), length, "{text:?}");
        }
    }

    #[test]
    fn text_without_its_escapes_has_the_same_lines() {
        let mut plain = Vec::new();
        without_escapes(b"a\x1b[31mb\x1b[0m\n\x1b]0;t\nc\x1b", &mut plain);
        assert_eq!(plain, b"ab\n0;t\nc");
    }
}

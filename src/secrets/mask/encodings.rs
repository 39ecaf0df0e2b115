//! The encodings by which secrets get into logs. Each gives the text as a tool would print it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Characters besides letters and digits that percent-encoding leaves alone, by who does it: nobody
/// (all is encoded), RFC 3986 section 2.3, Python's `quote`, JavaScript's `encodeURIComponent` and
/// `encodeURI` (ECMA-262 section 19.2.6), and HTML forms (WHATWG URL section 1.3).
pub(super) const PERCENT_KEEPS: [&str; 6] =
    ["", "-_.~", "-_.~/", "-_.!~*'()", "-_.!~*'();,/?:@&=+$#", "*-._"];

/// Percent-encodes all but letters, digits and `keep`.
pub(super) fn percent(text: &str, keep: &str, is_upper: bool, space: &str) -> String {
    let mut output = String::new();
    for byte in text.bytes() {
        if byte == b' ' {
            output.push_str(space);
        } else if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) {
            output.push(char::from(byte));
        } else {
            output.push('%');
            output.push_str(&hex(&[byte], is_upper));
        }
    }
    output
}

/// Hex digits of these bytes.
pub(super) fn hex(bytes: &[u8], is_upper: bool) -> String {
    if is_upper { hex::encode_upper(bytes) } else { hex::encode(bytes) }
}

/// Base64 at the three places that the bytes can have in a longer text: only the characters that do
/// not depend on neighbours, and those with the last character and padding of the text's end.
pub(super) fn base64(bytes: &[u8], is_url_safe: bool) -> Vec<String> {
    let engine = if is_url_safe { &URL_SAFE } else { &STANDARD };
    let mut forms = Vec::new();
    for offset in 0..3_usize {
        let mut shifted = vec![0; offset];
        shifted.extend_from_slice(bytes);
        let encoded = engine.encode(&shifted);
        // A character holds 6 bits: the first one free of the bytes before, and the last full one.
        let first = (offset * 8).div_ceil(6);
        let inner_end = shifted.len() * 8 / 6;
        let unpadded_end = encoded.trim_end_matches('=').len();
        for end in [inner_end, unpadded_end, encoded.len()] {
            forms.push(encoded.get(first..end).unwrap_or_default().to_owned());
        }
    }
    forms
}

/// How a JSON writer escapes what it need not escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonStyle {
    /// Only what RFC 8259 section 7 asks for.
    Plain,
    /// `/` as `\/` too, as PHP does.
    Slashes,
    /// `<`, `>`, `&` as `\u003c` too, as Go does.
    Html,
    /// Everything beyond ASCII as `\uXXXX` in lower case, as Python does.
    Ascii,
    /// The same in upper case.
    AsciiUpper,
}

impl JsonStyle {
    pub(super) const ALL: [Self; 5] =
        [Self::Plain, Self::Slashes, Self::Html, Self::Ascii, Self::AsciiUpper];

    fn escapes(self, letter: char) -> bool {
        match self {
            Self::Plain | Self::Slashes => false,
            Self::Html => matches!(letter, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'),
            Self::Ascii | Self::AsciiUpper => !letter.is_ascii() || letter == '\u{7f}',
        }
    }
}

/// The inside of a JSON string.
pub(super) fn json(text: &str, style: JsonStyle) -> String {
    let mut output = String::new();
    for letter in text.chars() {
        match letter {
            '"' => output.push_str("\\\""),
            '\\' => output.push_str("\\\\"),
            '\n' => output.push_str("\\n"),
            '\r' => output.push_str("\\r"),
            '\t' => output.push_str("\\t"),
            '\u{8}' => output.push_str("\\b"),
            '\u{c}' => output.push_str("\\f"),
            '/' if style == JsonStyle::Slashes => output.push_str("\\/"),
            _ if letter < ' ' || style.escapes(letter) => {
                push_utf16(&mut output, letter, style == JsonStyle::AsciiUpper);
            }
            _ => output.push(letter),
        }
    }
    output
}

fn push_utf16(output: &mut String, letter: char, is_upper: bool) {
    for unit in letter.encode_utf16(&mut [0; 2]) {
        output.push_str("\\u");
        output.push_str(&hex(&unit.to_be_bytes(), is_upper));
    }
}

/// What shells print for a word: the ways to write `'` inside single quotes, the inside of double
/// quotes, backslashes alone, and `$'…'` (bash, `printf %q`).
pub(super) fn shell(text: &str) -> Vec<String> {
    vec![
        text.replace('\'', r"'\''"),
        text.replace('\'', r#"'"'"'"#),
        backslashed(text, |letter| matches!(letter, '"' | '$' | '`' | '\\')),
        backslashed(text, |letter| matches!(letter, '"' | '$' | '`' | '\\' | '!')),
        backslashed(text, |letter| " !\"$&'()*,;<>?[\\]^`{|}".contains(letter)),
        backslashed(text, |letter| " !\"#$&'()*;<=>?[\\]^`{|}~\t".contains(letter)),
        dollar_quoted(text, true),
        dollar_quoted(text, false),
    ]
}

fn backslashed(text: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut output = String::new();
    for letter in text.chars() {
        if is_special(letter) {
            output.push('\\');
        }
        output.push(letter);
    }
    output
}

/// The inside of `$'…'`. Bytes beyond ASCII stay in a UTF-8 locale and are octal in the C locale.
fn dollar_quoted(text: &str, is_utf8: bool) -> String {
    let mut output = String::new();
    for letter in text.chars() {
        match letter {
            '\'' => output.push_str("\\'"),
            '\\' => output.push_str("\\\\"),
            '\n' => output.push_str("\\n"),
            '\r' => output.push_str("\\r"),
            '\t' => output.push_str("\\t"),
            '\u{7}' => output.push_str("\\a"),
            '\u{8}' => output.push_str("\\b"),
            '\u{b}' => output.push_str("\\v"),
            '\u{c}' => output.push_str("\\f"),
            '\u{1b}' => output.push_str("\\E"),
            _ if letter.is_ascii_control() || (!letter.is_ascii() && !is_utf8) => {
                for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a string cannot fail.
                    _ = write!(output, "\\{byte:03o}");
                }
            }
            _ => output.push(letter),
        }
    }
    output
}

/// HTML and XML text: only what must be escaped, and with quotes in their several spellings.
pub(super) fn html(text: &str) -> Vec<String> {
    let minimal = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let double = minimal.replace('"', "&quot;");
    let mut forms: Vec<String> =
        ["&#39;", "&#x27;", "&apos;", "&#039;"].iter().map(|it| double.replace('\'', it)).collect();
    forms.push(double.replace('\n', "&#10;").replace('\r', "&#13;").replace('\t', "&#9;"));
    forms.push(minimal.replace('"', "&#34;").replace('\'', "&#39;"));
    forms.push(minimal);
    forms.push(double);
    forms
}

//! Text as it stands in HTML, in elements and in quoted attributes. Nothing in it is markup, and nothing in it
//! turns around what is read: characters that would are named.

use std::fmt::{self, Write};

use askama::filters::Escaper;

use crate::model::is_turning;

/// The escaper of all templates.
#[derive(Clone, Copy)]
pub(in crate::ui) struct Html;

impl Escaper for Html {
    fn write_escaped_str<W: Write>(&self, mut to: W, text: &str) -> fmt::Result {
        write_escaped(&mut to, text)
    }
}

/// Adds text to HTML.
pub(in crate::ui) fn escape_html(html: &mut String, text: &str) {
    // A `String` takes everything.
    let _ = write_escaped(html, text);
}

fn write_escaped(to: &mut impl Write, text: &str) -> fmt::Result {
    let is_odd = |it: char| matches!(it, '&' | '<' | '>' | '"' | '\'') || is_turning(it);
    let mut rest = text;
    while let Some(at) = rest.find(is_odd) {
        let (before, behind) = rest.split_at(at);
        to.write_str(before)?;
        let mut letters = behind.chars();
        match letters.next() {
            Some(letter) if is_turning(letter) => write!(to, "[U+{:04X}]", u32::from(letter))?,
            Some(letter) => write!(to, "&#{};", u32::from(letter))?,
            None => (),
        }
        rest = letters.as_str();
    }
    to.write_str(rest)
}

#[cfg(test)]
mod tests {
    use super::escape_html;

    #[test]
    fn text_stays_text_and_reads_as_it_is_written() {
        for (text, html) in [
            ("plain ü", "plain ü"),
            (
                "<b onclick='x' id=\"y\">&amp;",
                "&#60;b onclick=&#39;x&#39; id=&#34;y&#34;&#62;&#38;amp;",
            ),
            ("safe \u{202e}egnahc\u{202c}", "safe [U+202E]egnahc[U+202C]"),
            ("\u{2066}שלום\u{2069}\u{200f}", "[U+2066]שלום[U+2069]\u{200f}"),
        ] {
            let mut made = String::new();
            escape_html(&mut made, text);
            assert_eq!(made, html);
        }
    }
}

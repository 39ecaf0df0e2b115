//! Lines of a log as HTML: colours and styles become classes, a line that was written over shows what a
//! terminal would show last, and every other control is left out. Pure; what comes out is escaped.

use crate::blobs::{ESCAPE, escape_length};
use crate::ui::shell::markup::escape_html;

mod cells;
mod style;
#[cfg(test)]
mod tests;

use cells::Cells;
use style::Style;

/// The longest address of a link.
const LINK_BYTES_MAX: usize = 2048;

/// Turns lines into HTML. Colours go on in the next line until something ends them, as in a terminal; where
/// printing begins in the middle of a log, [`Printer::skip`] a few lines before it.
#[derive(Debug, Default)]
pub(super) struct Printer {
    style: Style,
}

/// What a line is made of.
enum Token<'a> {
    Text(&'a str),
    Control(char),
    Escape(&'a str),
}

impl Printer {
    /// Forgets colours: what follows was printed by something else.
    pub(super) fn reset(&mut self) {
        self.style = Style::default();
    }

    /// Takes note of the colours of a line that is not shown.
    pub(super) fn skip(&mut self, line: &str) {
        for token in tokens(line) {
            if let Token::Escape(escape) = token
                && let Some(parameters) = parameters(escape, 'm')
            {
                self.style.select(parameters);
            }
        }
    }

    /// The line as HTML.
    pub(super) fn print(&mut self, line: &str) -> String {
        let mut html = String::with_capacity(line.len() + 16);
        if is_plain(line) {
            style::open(&mut html, self.style);
            escape_html(&mut html, line);
            style::close(&mut html, self.style);
        } else {
            self.draw(line).print(&mut html);
        }
        html
    }

    /// The line on a terminal of one row.
    fn draw<'a>(&mut self, line: &'a str) -> Cells<'a> {
        let mut cells = Cells::default();
        for token in tokens(line) {
            match token {
                Token::Text(text) => cells.write(text, self.style),
                Token::Control('\r') => cells.go_to(0),
                Token::Control('\u{8}') => cells.go_by(-1),
                Token::Control(_) => {}
                Token::Escape(escape) => self.obey(escape, &mut cells),
            }
        }
        cells
    }

    fn obey<'a>(&mut self, escape: &'a str, cells: &mut Cells<'a>) {
        if let Some(link) = link(escape) {
            return cells.link_to(link);
        }
        let Some(end) = escape.chars().last() else { return };
        let Some(parameters) = parameters(escape, end) else { return };
        let first = parameters.split(';').next().and_then(|it| it.parse::<u16>().ok());
        let count = isize::try_from(first.unwrap_or(1).max(1)).unwrap_or(1);
        match end {
            'm' => self.style.select(parameters),
            'K' => cells.erase(first.unwrap_or(0)),
            'J' if first.unwrap_or(0) != 1 => cells.erase(first.unwrap_or(0).min(2)),
            'G' => cells.go_to(usize::try_from(count - 1).unwrap_or(0)),
            'C' => cells.go_by(count),
            'D' => cells.go_by(-count),
            _ => {}
        }
    }
}

/// What a line says, without colours.
#[cfg(test)]
fn plain(line: &str) -> String {
    if is_plain(line) { line.to_owned() } else { Printer::default().draw(line).text() }
}

fn is_plain(line: &str) -> bool {
    !line.contains(is_control)
}

fn is_control(letter: char) -> bool {
    letter.is_control() && letter != '\t'
}

fn tokens(line: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let (token, length) = if first == char::from(ESCAPE) {
            let length = escape_length(rest.as_bytes());
            (Token::Escape(rest.get(..length)?), length)
        } else if is_control(first) {
            (Token::Control(first), first.len_utf8())
        } else {
            let length = rest.find(is_control).unwrap_or(rest.len());
            (Token::Text(rest.get(..length)?), length)
        };
        rest = rest.get(length..)?;
        Some(token)
    })
}

/// The parameters of a control sequence that ends with this letter.
fn parameters(escape: &str, end: char) -> Option<&str> {
    escape.strip_prefix("\u{1b}[")?.strip_suffix(end).filter(|_| end.is_ascii_alphabetic())
}

/// Where a hyperlink leads (`OSC 8 ; parameters ; address`); an empty one ends it. What is no address of the
/// web is as an empty one.
fn link(escape: &str) -> Option<&str> {
    let inside = escape.strip_prefix("\u{1b}]8;")?;
    let inside = inside.strip_suffix('\u{7}').or_else(|| inside.strip_suffix("\u{1b}\\"))?;
    let (_, address) = inside.split_once(';')?;
    Some(if is_web(address) { address } else { "" })
}

fn is_web(address: &str) -> bool {
    let starts = |scheme: &str| {
        address.get(..scheme.len()).is_some_and(|it| it.eq_ignore_ascii_case(scheme))
    };
    let is_odd = |it: char| it.is_control() || it.is_whitespace() || it == '\\';
    (starts("http://") || starts("https://"))
        && address.len() <= LINK_BYTES_MAX
        && !address.contains(is_odd)
}

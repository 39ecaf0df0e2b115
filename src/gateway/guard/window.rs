//! What is held back of a text that comes in pieces: only the tail that may still become something to
//! be found, so that nothing is missed at a border between two pieces. Pure.

use std::ops::Range;

use super::pii::secret;
use super::texts::Form;
use super::{Screen, Stopped, Way};

/// What stays in sight of what has passed, so that a word before a number is known.
const BEFORE: usize = 64;
/// How far back groups of one number may begin.
const GROUPS: usize = 160;
/// The most that is held back: a private key fits.
const HELD: usize = 16 << 10;

/// One text on its way.
#[derive(Debug, Default)]
pub struct Window {
    /// What has passed last.
    before: String,
    held: String,
    /// The rest of something that was too long to be held is dropped until it ends.
    swallows: bool,
}

impl Window {
    /// Takes a piece in and gives what may pass.
    pub fn push(&mut self, screen: &mut Screen, text: &str, form: Form) -> Result<String, Stopped> {
        let text = if self.swallows {
            let rest = text.trim_start_matches(secret::is_letter);
            self.swallows = rest.is_empty();
            rest
        } else {
            text
        };
        self.held.push_str(text);
        self.release(screen, form, false)
    }

    /// The text is over: gives what was held.
    pub fn flush(&mut self, screen: &mut Screen, form: Form) -> Result<String, Stopped> {
        self.release(screen, form, true)
    }

    /// How much is held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn release(&mut self, screen: &mut Screen, form: Form, all: bool) -> Result<String, Stopped> {
        if self.held.is_empty() {
            return Ok(String::new());
        }
        let base = self.before.len();
        let text = format!("{}{}", self.before, self.held);
        let hits = screen.hits(Way::Out, &text);
        let mut cut = text.len();
        if !all {
            cut = base + tail_start(&self.held, screen.words());
            // Nothing that was found is cut in two, and what touches the end may still grow.
            let spans = |range: &Range<usize>, cut: usize| {
                let is_open = range.end > cut || range.end == text.len();
                is_open && range.start < cut && range.end > base
            };
            while let Some(hit) = hits.iter().find(|it| cut > base && spans(&it.range, cut)) {
                cut = hit.range.start.max(base);
            }
        }
        if text.len() - cut > HELD {
            cut = text.len();
            self.swallows = hits.iter().any(|it| it.range.end == text.len());
        }
        let out = screen.replaced(Way::Out, &text, base..cut, (&hits, form))?;
        let seen = text.get(..cut).unwrap_or_default();
        let keep = seen.ceil_char_boundary(seen.len().saturating_sub(BEFORE));
        seen.get(keep..).unwrap_or_default().clone_into(&mut self.before);
        text.get(cut..).unwrap_or_default().clone_into(&mut self.held);
        Ok(out)
    }
}

/// Where the tail begins that must wait: the last word, the groups of digits or capitals before it, and
/// as many words as a phrase may have.
fn tail_start(text: &str, words: usize) -> usize {
    let mut start = word_start(text, text.len());
    for _ in 1..words {
        start = word_start(text, text.get(..start).unwrap_or_default().trim_end().len());
    }
    let limit = text.len().saturating_sub(GROUPS);
    loop {
        let end = text.get(..start).unwrap_or_default().trim_end().len();
        let previous = word_start(text, end);
        let word = text.get(previous..end).unwrap_or_default();
        let before = text.get(..previous).unwrap_or_default().trim_end();
        let follows_digits = before.ends_with(|it: char| it.is_ascii_digit());
        let is_group = !word.contains(char::is_lowercase)
            || word.contains(|it: char| it.is_ascii_digit())
            || (word.len() <= 4 && follows_digits);
        if word.is_empty() || !is_group || previous < limit {
            return start;
        }
        start = previous;
    }
}

fn word_start(text: &str, end: usize) -> usize {
    let text = text.get(..end).unwrap_or_default();
    let space = text.char_indices().rev().find(|it| it.1.is_whitespace());
    space.map_or(0, |it| it.0 + it.1.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_still_become_something_waits() {
        let check = |text: &'static str, words| text.split_at(tail_start(text, words));
        assert_eq!(check("a plain sentence", 1), ("a plain ", "sentence"));
        assert_eq!(check("a plain sentence. ", 1), ("a plain sentence. ", ""));
        assert_eq!(check("pay DE89 3704 00", 1), ("pay ", "DE89 3704 00"));
        assert_eq!(check("pay GB29 NWBK ", 1), ("pay ", "GB29 NWBK "));
        assert_eq!(check("pay nl91 abna ", 1), ("pay ", "nl91 abna "));
        assert_eq!(check("call +49 (0)30 ", 1), ("call ", "+49 (0)30 "));
        assert_eq!(check("a very nuclear wea", 2), ("a very ", "nuclear wea"));
        assert_eq!(check("x -----BEGIN RSA PRIV", 1), ("x ", "-----BEGIN RSA PRIV"));
    }
}

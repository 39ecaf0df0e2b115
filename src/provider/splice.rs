//! Changes of a JSON object that keep every byte that need not change.

use std::ops::Range;

/// Edits of one text, each at its place.
#[derive(Debug, Default)]
pub struct Edits {
    edits: Vec<(Range<usize>, String)>,
}

impl Edits {
    /// Puts `text` in place of a part that was borrowed from the whole.
    pub fn replace(&mut self, whole: &[u8], part: &str, text: String) {
        self.edits.push((range_in(whole, part), text));
    }

    /// Puts a member first into an object that has others.
    pub fn insert_first(&mut self, whole: &[u8], object: &str, name: &str, value: &str) {
        let start = range_in(whole, object).start;
        let brace = object.find('{').map_or(start, |it| start + it + 1);
        let rest = object.split_once('{').map(|it| it.1.trim_start()).unwrap_or_default();
        let comma = if rest.starts_with('}') { "" } else { "," };
        self.edits.push((brace..brace, format!("\"{name}\":{value}{comma}")));
    }

    /// The text with all edits; `None` without any.
    #[must_use]
    pub fn apply(mut self, whole: &[u8]) -> Option<Vec<u8>> {
        if self.edits.is_empty() {
            return None;
        }
        self.edits.sort_by_key(|it| it.0.start);
        let (mut text, mut at) = (Vec::with_capacity(whole.len() + 64), 0);
        for (range, edit) in &self.edits {
            text.extend_from_slice(whole.get(at..range.start).unwrap_or_default());
            text.extend_from_slice(edit.as_bytes());
            at = range.end;
        }
        text.extend_from_slice(whole.get(at..).unwrap_or_default());
        Some(text)
    }
}

/// Where a part lies in the whole that it was borrowed from.
fn range_in(whole: &[u8], part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    let start = start.min(whole.len());
    start..(start + part.len()).min(whole.len())
}

//! Masks secrets in a stream of bytes, whatever the borders of its pieces. Every byte that belongs to
//! an occurrence of a secret, in any of its forms, is hidden; overlapping occurrences become one `***`.

use std::fmt;
use std::sync::Arc;

use patterns::{Found, Patterns};

mod encodings;
mod forms;
mod patterns;

#[cfg(test)]
mod tests;

/// What stands in the output for a secret.
const MASK: &[u8] = b"***";

/// Shorter values would hide the log: they match by chance.
const SECRET_MIN_BYTES: usize = 4;

/// Longer values are refused: a masker remembers some dozens of forms of each.
const SECRET_MAX_BYTES: usize = 64 * 1024;

/// Replaces secrets, and their base64 (three offsets), URL, JSON, shell, HTML and hex forms, by `***`.
/// Feeding the same bytes in other pieces gives the same output.
#[derive(Clone)]
pub struct Masker {
    patterns: Arc<Patterns>,
    unmasked: usize,
    /// The end of the stream so far, as it may be the beginning of a secret.
    tail: Vec<u8>,
    /// How many bytes of `tail` are part of an occurrence whose `***` is already out.
    tail_covered: usize,
}

impl Masker {
    /// A masker for these values. Values shorter than 4 bytes (white space around them aside) are not
    /// masked, as they would hide the log; neither are values above 64 KiB. [`Masker::unmasked`] counts
    /// both.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut unmasked = 0;
        let mut all = forms::Forms::default();
        for secret in secrets {
            // White space around a short value would only hide the indentation of the log.
            let is_long_enough = secret.trim().len() >= SECRET_MIN_BYTES;
            if is_long_enough && secret.len() <= SECRET_MAX_BYTES {
                all.add_secret(secret);
            } else if !secret.is_empty() {
                unmasked += 1;
            }
        }
        let patterns = Arc::new(Patterns::new(all.into_list()));
        Self { patterns, unmasked, tail: Vec::new(), tail_covered: 0 }
    }

    /// How many of the values (empty ones aside) are not masked, because they are too short or too
    /// long. A caller should say so to the person who runs the pipeline.
    #[must_use]
    pub fn unmasked(&self) -> usize {
        self.unmasked
    }

    /// Takes a piece of the stream and gives what is safe to show. Holds back only a tail that may be the
    /// beginning of a secret: always shorter than the longest form of a secret with all its line ends.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.tail.is_empty() {
            return self.advance(bytes, false);
        }
        let mut joined = std::mem::take(&mut self.tail);
        joined.extend_from_slice(bytes);
        self.advance(&joined, false)
    }

    /// The rest, at the end of the stream. The masker can be used for another stream afterwards.
    pub fn finish(&mut self) -> Vec<u8> {
        let rest = std::mem::take(&mut self.tail);
        self.advance(&rest, true)
    }

    /// Masks a whole text, for messages, metrics and outputs.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mut fresh = Self {
            tail: Vec::new(),
            tail_covered: 0,
            unmasked: 0,
            patterns: self.patterns.clone(),
        };
        let masked = fresh.advance(text.as_bytes(), true);
        String::from_utf8_lossy(&masked).into_owned()
    }

    /// Masks `bytes`, which begin where the output ended. Keeps a live tail unless this is the end.
    fn advance(&mut self, bytes: &[u8], is_end: bool) -> Vec<u8> {
        let mut output = Vec::with_capacity(bytes.len());
        let mut covered = std::mem::take(&mut self.tail_covered);
        let mut position = 0;
        loop {
            let found = self.patterns.find(bytes, position, is_end);
            let start = found.start(bytes.len());
            if covered < start {
                output.extend_from_slice(bytes.get(covered..start).unwrap_or_default());
            }
            match found {
                Found::Nothing => return output,
                Found::MayBegin { start } => {
                    self.tail = bytes.get(start..).unwrap_or_default().to_vec();
                    self.tail_covered = covered.saturating_sub(start);
                    return output;
                }
                Found::Occurrence { start, end } => {
                    if start >= covered {
                        output.extend_from_slice(MASK);
                    }
                    covered = covered.max(end);
                    position = start + 1;
                }
            }
        }
    }
}

impl fmt::Debug for Masker {
    /// Never shows a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("patterns", &self.patterns.count()).finish_non_exhaustive()
    }
}

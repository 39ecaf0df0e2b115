//! Finds the next occurrence of any of many byte strings, or where one may begin. A filter over four
//! bytes passes by ordinary text at memory speed; only what it lets through is compared.

use std::collections::{BTreeSet, HashMap};

use super::forms::Form;

/// All forms are at least this long; the filter looks at as many bytes.
const PREFIX_BYTES: usize = 4;

/// Bits of the filter: small enough to stay in the first-level cache.
const FILTER_BITS: u32 = 17;

/// Byte strings to look for.
pub(super) struct Patterns {
    list: Vec<Form>,
    /// Places in the list, by the first four bytes of a text that matches.
    by_prefix: HashMap<[u8; PREFIX_BYTES], Vec<usize>>,
    /// One bit for each hash of a known prefix.
    filter: Vec<u64>,
}

/// What comes next in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// No pattern begins in the rest.
    Nothing,
    /// A pattern lies here; no longer one begins at `start`.
    Occurrence { start: usize, end: usize },
    /// From here to its end the text is the beginning of a pattern.
    MayBegin { start: usize },
}

impl Found {
    /// Where it begins: `text_length` when it is nothing.
    pub(super) fn start(self, text_length: usize) -> usize {
        match self {
            Self::Nothing => text_length,
            Self::Occurrence { start, .. } | Self::MayBegin { start } => start,
        }
    }
}

impl Patterns {
    /// Patterns shorter than four bytes are left out.
    pub(super) fn new(list: Vec<Form>) -> Self {
        let mut by_prefix: HashMap<_, Vec<usize>> = HashMap::new();
        let mut filter = vec![0_u64; 1 << (FILTER_BITS - 6)];
        for (place, form) in list.iter().enumerate() {
            for prefix in prefixes(form) {
                let (word, bit) = filter_slot(prefix);
                if let Some(word) = filter.get_mut(word) {
                    *word |= bit;
                }
                by_prefix.entry(prefix).or_default().push(place);
            }
        }
        Self { list, by_prefix, filter }
    }

    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    /// The first occurrence that begins at `from` or later. `is_end` says that the text does not go on.
    pub(super) fn find(&self, text: &[u8], from: usize, is_end: bool) -> Found {
        if self.by_prefix.is_empty() {
            return Found::Nothing;
        }
        let mut from = from;
        while let Some(start) = self.next_candidate(text, from) {
            if let Some(found) = self.at(text, start, is_end) {
                return found;
            }
            from = start + 1;
        }
        if is_end {
            return Found::Nothing;
        }
        self.short_tail(text, from)
    }

    /// The next place whose four bytes may be those of a pattern.
    fn next_candidate(&self, text: &[u8], from: usize) -> Option<usize> {
        let rest = text.get(from..)?;
        let offset = rest.array_windows::<PREFIX_BYTES>().position(|window| {
            let (word, bit) = filter_slot(*window);
            self.filter.get(word).is_some_and(|it| it & bit != 0)
        })?;
        Some(from + offset)
    }

    /// What begins exactly here, if anything does.
    fn at(&self, text: &[u8], start: usize, is_end: bool) -> Option<Found> {
        let rest = text.get(start..)?;
        let bucket = self.by_prefix.get(rest.first_chunk::<PREFIX_BYTES>()?)?;
        let mut longest = None;
        for form in bucket.iter().filter_map(|place| self.list.get(*place)) {
            match compare(form, rest) {
                Compared::Differs => (),
                Compared::GoesOn if is_end => (),
                // It may become the longest.
                Compared::GoesOn => return Some(Found::MayBegin { start }),
                Compared::Same { length } => longest = longest.max(Some(length)),
            }
        }
        longest.map(|length| Found::Occurrence { start, end: start + length })
    }

    /// Looks at the last bytes, which are too few for the filter.
    fn short_tail(&self, text: &[u8], from: usize) -> Found {
        let first = from.max(text.len().saturating_sub(PREFIX_BYTES - 1));
        (first..text.len())
            .find(|start| {
                let rest = text.get(*start..).unwrap_or_default();
                self.by_prefix.keys().any(|prefix| prefix.starts_with(rest))
            })
            .map_or(Found::Nothing, |start| Found::MayBegin { start })
    }
}

/// Place of a prefix in the filter: its word and its bit there.
fn filter_slot(prefix: [u8; PREFIX_BYTES]) -> (usize, u64) {
    // Multiplicative hashing by 2^32 divided by the golden ratio (Knuth, TAOCP 3, section 6.4).
    let hash = u32::from_le_bytes(prefix).wrapping_mul(0x9E37_79B1) >> (32 - FILTER_BITS);
    ((hash >> 6) as usize, 1 << (hash & 63))
}

/// How a text begins compared with a form.
enum Compared {
    Same {
        length: usize,
    },
    /// All of the text is a beginning of the form.
    GoesOn,
    Differs,
}

fn compare(form: &Form, text: &[u8]) -> Compared {
    let mut length = 0;
    for (place, byte) in form.bytes.iter().enumerate() {
        let mut rest = text.get(length..).unwrap_or_default();
        if form.wraps && place > 0 {
            let line_end = match rest {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                [b'\r'] => return Compared::GoesOn,
                _ => 0,
            };
            length += line_end;
            rest = rest.get(line_end..).unwrap_or_default();
        }
        match rest.first() {
            None => return Compared::GoesOn,
            Some(found) if found == byte => length += 1,
            Some(_) => return Compared::Differs,
        }
    }
    Compared::Same { length }
}

/// The first four bytes of everything that stands for a form: with line ends between its bytes, if it may
/// be wrapped.
fn prefixes(form: &Form) -> BTreeSet<[u8; PREFIX_BYTES]> {
    let line_ends: &[&[u8]] = if form.wraps { &[b"", b"\n", b"\r\n"] } else { &[b""] };
    let mut beginnings: BTreeSet<Vec<u8>> =
        form.bytes.first().map(|it| vec![*it]).into_iter().collect();
    for byte in form.bytes.iter().take(PREFIX_BYTES).skip(1) {
        let longer = |start: &Vec<u8>| {
            let start = start.clone();
            line_ends.iter().map(move |it| [start.as_slice(), it, &[*byte]].concat())
        };
        beginnings = beginnings.iter().flat_map(longer).collect();
    }
    beginnings.iter().filter_map(|it| it.first_chunk().copied()).collect()
}

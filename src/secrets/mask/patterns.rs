//! Finds the next occurrence of any of many byte strings, or where one may begin. A filter over four
//! bytes passes by ordinary text at memory speed; only what it lets through is compared.

use std::collections::HashMap;

/// All forms are at least this long; the filter looks at as many bytes.
const PREFIX_BYTES: usize = 4;

/// Bits of the filter: small enough to stay in the first-level cache.
const FILTER_BITS: u32 = 16;

/// Byte strings to look for.
pub(super) struct Patterns {
    /// By their first four bytes; the longest first.
    by_prefix: HashMap<[u8; PREFIX_BYTES], Vec<Vec<u8>>>,
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
    pub(super) fn new(list: Vec<Vec<u8>>) -> Self {
        let mut by_prefix: HashMap<_, Vec<Vec<u8>>> = HashMap::new();
        let mut filter = vec![0_u64; 1 << (FILTER_BITS - 6)];
        for pattern in list {
            let Some(prefix) = pattern.first_chunk::<PREFIX_BYTES>().copied() else { continue };
            let (word, bit) = filter_slot(prefix);
            if let Some(word) = filter.get_mut(word) {
                *word |= bit;
            }
            by_prefix.entry(prefix).or_default().push(pattern);
        }
        for bucket in by_prefix.values_mut() {
            bucket.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
        }
        Self { by_prefix, filter }
    }

    pub(super) fn count(&self) -> usize {
        self.by_prefix.values().map(Vec::len).sum()
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
        bucket.iter().find_map(|pattern| {
            let is_live = !is_end && pattern.len() > rest.len() && pattern.starts_with(rest);
            let end = start + pattern.len();
            if rest.starts_with(pattern) {
                return Some(Found::Occurrence { start, end });
            }
            is_live.then_some(Found::MayBegin { start })
        })
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

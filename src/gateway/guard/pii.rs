//! Finds what tells who somebody is, and what lets somebody in: addresses, numbers, keys. A pattern
//! finds candidates; check digits, lengths and ranges say which of them count. Pure.

pub mod secret;
pub mod digits;
pub mod national;
pub mod phone;
pub mod network;

use std::ops::Range;

use regex::Regex;
use serde::Deserialize;

/// An e-mail address.
pub const EMAIL: &str = r"[\p{L}\p{N}._%+'-]+@(?:[\p{L}\p{N}-]+\.)+\p{L}{2,24}";
/// Ends of names of files, which `picture@2x.png` would make an address of.
const FILE_ENDS: [&str; 10] =
    [".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".css", ".js", ".ts", ".html"];
/// A run of groups of digits.
const CARD: &str = r"\d(?:[ -]?\d){11,30}";
/// The start of an account number; where it ends is said by its country.
const IBAN: &str = r"(?i)[a-z]{2}\d{2}(?:[ -]?[a-z0-9]){11,30}";
/// Where words are looked for that say what a number is, in bytes before it.
const CONTEXT_BYTES: usize = 48;

/// What can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Keys, tokens, private keys.
    Secret,
    /// An account number with its check digits.
    Iban,
    /// A payment card with its check digit.
    Card,
    /// A number of a person at an authority.
    NationalId,
    /// An e-mail address.
    Email,
    /// A hardware address.
    Mac,
    /// An address of the internet.
    Ip,
    /// A telephone number.
    Phone,
}

impl Kind {
    /// All of them, those first that win where two overlap.
    pub const ALL: [Self; 8] = [
        Self::Secret,
        Self::Iban,
        Self::Card,
        Self::NationalId,
        Self::Email,
        Self::Mac,
        Self::Ip,
        Self::Phone,
    ];

    /// The word in placeholders.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Secret => "SECRET",
            Self::Iban => "IBAN",
            Self::Card => "CARD",
            Self::NationalId => "ID",
            Self::Email => "EMAIL",
            Self::Mac => "MAC",
            Self::Ip => "IP",
            Self::Phone => "PHONE",
        }
    }

    /// The word in flags.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::Secret => "pii_secret",
            Self::Iban => "pii_iban",
            Self::Card => "pii_card",
            Self::NationalId => "pii_national_id",
            Self::Email => "pii_email",
            Self::Mac => "pii_mac",
            Self::Ip => "pii_ip",
            Self::Phone => "pii_phone",
        }
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub range: Range<usize>,
    /// What.
    pub kind: Kind,
}

type Check = fn(&str, Range<usize>, &mut Vec<Range<usize>>);

/// Finds some kinds.
#[derive(Debug)]
pub struct Finder {
    /// In the order of [`Kind::ALL`].
    patterns: Vec<(Kind, Regex, Check)>,
}

impl Finder {
    /// For these kinds.
    pub fn new(kinds: &[Kind]) -> Result<Self, String> {
        let mut patterns = Vec::new();
        for kind in Kind::ALL.into_iter().filter(|it| kinds.contains(it)) {
            for (pattern, check) in patterns_of(kind) {
                // Digits of other scripts have no check digits that are known here.
                let regex =
                    Regex::new(&pattern.replace(r"\d", "[0-9]")).map_err(|it| it.to_string())?;
                patterns.push((kind, regex, *check));
            }
        }
        Ok(Self { patterns })
    }

    /// All that is in a text, in its order; where two overlap, the kind that comes first.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        let mut ranges = Vec::new();
        for (kind, regex, check) in &self.patterns {
            let mut at = 0;
            while let Some(candidate) = regex.find_at(text, at) {
                check(text, candidate.range(), &mut ranges);
                // A candidate may begin inside of another one that was none.
                let next = ranges.last().map_or(candidate.start() + 1, |it| it.end);
                for range in ranges.drain(..) {
                    if found
                        .iter()
                        .all(|it| it.range.end <= range.start || range.end <= it.range.start)
                    {
                        found.push(Found { range, kind: *kind });
                    }
                }
                at = next.max(candidate.start() + 1);
                while !text.is_char_boundary(at) {
                    at += 1;
                }
            }
        }
        found.sort_by_key(|it| it.range.start);
        found
    }
}

fn patterns_of(kind: Kind) -> &'static [(&'static str, Check)] {
    match kind {
        Kind::Secret => &[(secret::PATTERNS, whole)],
        Kind::Iban => &[(IBAN, iban)],
        Kind::Card => &[(CARD, card)],
        Kind::NationalId => national::PATTERNS,
        Kind::Email => &[(EMAIL, email)],
        Kind::Mac => &[(network::MAC, network::mac)],
        Kind::Ip => &[(network::IPV6, network::ipv6), (network::IPV4, network::ipv4)],
        Kind::Phone => phone::PATTERNS,
    }
}

fn whole(_: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    found.push(range);
}

fn email(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let candidate = text.get(range.clone()).unwrap_or_default();
    let name = candidate.trim_start_matches(|it: char| !it.is_alphanumeric());
    let range = range.end - name.len()..range.end;
    let (local, domain) = name.split_once('@').unwrap_or_default();
    let is_label =
        |it: &str| (1..=63).contains(&it.len()) && !it.starts_with('-') && !it.ends_with('-');
    if local.is_empty()
        || local.len() > 64
        || local.ends_with('.')
        || !domain.split('.').all(is_label)
    {
        return;
    }
    let address = text.get(range.clone()).unwrap_or_default().to_ascii_lowercase();
    let after = text.get(range.end..).unwrap_or_default();
    let is_file = FILE_ENDS.iter().any(|it| address.ends_with(it));
    let is_repository = address.starts_with("git@") && after.starts_with(':');
    if !is_file && !is_repository && !is_preceded_by_word(text, range.start) {
        found.push(range);
    }
}

fn card(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let run = text.get(range.clone()).unwrap_or_default();
    let starts = group_borders(run);
    let mut from = 0;
    for start in &starts {
        if *start < from {
            continue;
        }
        // The longest first: a number of 19 digits may begin like one of 16.
        let ends = starts
            .iter()
            .rev()
            .map(|it| run.get(..*it).unwrap_or_default().trim_end_matches([' ', '-']).len());
        let mut ends = std::iter::once(run.len()).chain(ends).filter(|it| *it > *start);
        let fits = |end: &usize| {
            let part = range.start + start..range.start + end;
            run.get(*start..*end).is_some_and(digits::is_card) && is_alone(text, &part)
        };
        if let Some(end) = ends.find(fits) {
            found.push(range.start + start..range.start + end);
            from = end;
        }
    }
}

/// Where groups of digits begin.
fn group_borders(run: &str) -> Vec<usize> {
    let mut starts = vec![0];
    let after = run.bytes().enumerate().filter(|it| matches!(it.1, b' ' | b'-'));
    starts.extend(after.map(|it| it.0 + 1));
    starts
}

fn iban(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    if is_preceded_by_word(text, range.start) {
        return;
    }
    let candidate = text.get(range.clone()).unwrap_or_default();
    let Some(length) = digits::iban_length(candidate) else { return };
    let mut letters = candidate.char_indices().filter(|it| it.1.is_ascii_alphanumeric());
    let Some((last, _)) = letters.nth(length - 1) else { return };
    let end = range.start + last + 1;
    let is_whole = !text.get(end..).unwrap_or_default().starts_with(char::is_alphanumeric);
    if is_whole && text.get(range.start..end).is_some_and(digits::is_iban) {
        found.push(range.start..end);
    }
}

/// Whether a letter or digit stands right before.
fn is_preceded_by_word(text: &str, start: usize) -> bool {
    let before = text.get(..start).unwrap_or_default();
    before.ends_with(|it: char| it.is_alphanumeric() || it == '_')
}

/// Whether neither letters, digits nor what joins numbers stand right before and after.
fn is_alone(text: &str, range: &Range<usize>) -> bool {
    let after = text.get(range.end..).unwrap_or_default();
    let mut after = after.chars();
    let next = after.next();
    let joins = matches!(next, Some('.' | ',' | '-' | '/'))
        && after.next().is_some_and(|it| it.is_ascii_digit());
    let is_word = next.is_some_and(|it| it.is_alphanumeric() || it == '_');
    let before = text.get(..range.start).unwrap_or_default();
    let mut back = before.chars().rev();
    let joined =
        matches!(back.next(), Some('.' | ',')) && back.next().is_some_and(|it| it.is_ascii_digit());
    !joins && !joined && !is_word && !is_preceded_by_word(text, range.start)
}

/// Whether one of these words, in small letters, stands shortly before.
fn has_word_before(text: &str, start: usize, words: &[&str]) -> bool {
    let mut from = start.saturating_sub(CONTEXT_BYTES);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let before = text.get(from..start).unwrap_or_default().to_lowercase();
    let is_word = |place: usize, word: &str| {
        let head = before.get(..place).unwrap_or_default();
        let tail = before.get(place + word.len()..).unwrap_or_default();
        !head.ends_with(char::is_alphanumeric) && !tail.starts_with(|it: char| it.is_alphabetic())
    };
    words.iter().any(|word| before.match_indices(word).any(|it| is_word(it.0, word)))
}

#[cfg(test)]
mod tests;

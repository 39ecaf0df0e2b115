//! Addresses of the internet and of network cards. Those that name nobody in particular (loopback, all
//! zeros) are left out. Pure.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::is_preceded_by_word;

/// Version 4.
pub(super) const IPV4: &str = r"\d{1,3}(?:\.\d{1,3}){3}";
/// Version 6.
pub(super) const IPV6: &str =
    r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:[0-9]{0,3}(?:\.\d{1,3}){3})?";
/// With colons, hyphens, or in three groups.
pub(super) const MAC: &str = r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}";
/// Shorter ones are paths of programs (`a::b`).
const SHORTEST_IPV6: usize = 7;

pub(super) fn ipv4(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let address = text.get(range.clone()).and_then(|it| it.parse::<Ipv4Addr>().ok());
    let is_one = address.is_some_and(|it| !it.is_loopback() && !it.is_unspecified());
    if is_one && stands_alone(text, &range, ".") && !is_version(text, range.start) {
        found.push(range);
    }
}

/// `Chrome/13.0.782.0`.
fn is_version(text: &str, start: usize) -> bool {
    let before = text.get(..start).unwrap_or_default();
    let name = before.strip_suffix('/');
    name.is_some_and(|it| it.ends_with(|letter: char| letter.is_ascii_alphabetic()))
}

pub(super) fn ipv6(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let candidate = text.get(range.clone()).unwrap_or_default();
    // The mark of a sentence, and not of the address.
    let is_mark = candidate.ends_with(':') && !candidate.ends_with("::");
    let range = range.start..range.end - usize::from(is_mark);
    let candidate = text.get(range.clone()).unwrap_or_default();
    let address = candidate.parse::<Ipv6Addr>().ok();
    let is_one = address.is_some_and(|it| !it.is_loopback() && !it.is_unspecified());
    let is_plain =
        candidate.len() >= SHORTEST_IPV6 && candidate.contains(|it: char| it.is_ascii_digit());
    if is_one && is_plain && stands_alone(text, &range, ":") {
        found.push(range);
    }
}

pub(super) fn mac(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let address = text.get(range.clone()).unwrap_or_default();
    let digits: Vec<_> = address.chars().filter_map(|it| it.to_digit(16)).collect();
    let says_nothing = digits.iter().all(|it| *it == 0) || digits.iter().all(|it| *it == 15);
    if !says_nothing && stands_alone(text, &range, ":.-") {
        found.push(range);
    }
}

/// Whether it is no part of something longer.
fn stands_alone(text: &str, range: &Range<usize>, joints: &str) -> bool {
    let before = text.get(..range.start).unwrap_or_default();
    let mut after = text.get(range.end..).unwrap_or_default().chars();
    let next = after.next();
    let goes_on = next.is_some_and(|it| joints.contains(it))
        && after.next().is_some_and(|it| it.is_ascii_alphanumeric());
    let is_word = next.is_some_and(|it| it.is_alphanumeric() || it == '_');
    !goes_on
        && !is_word
        && !is_preceded_by_word(text, range.start)
        && !before.ends_with(|it: char| joints.contains(it))
}

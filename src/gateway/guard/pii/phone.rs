//! Telephone numbers: international ones, and the usual national spellings. Digits without a space, a
//! sign or a word before them are none. Pure.

use std::ops::Range;

use super::{Check, digits, has_word_before, is_alone, is_preceded_by_word};

/// Words that say that digits are a telephone number.
const WORDS: [&str; 22] = [
    "phone",
    "telephone",
    "tel",
    "call",
    "mobile",
    "cell",
    "fax",
    "whatsapp",
    "sms",
    "text",
    "dial",
    "number is",
    "reach me at",
    "telefon",
    "handy",
    "rufnummer",
    "teléfono",
    "móvil",
    "téléphone",
    "telefono",
    "telefoon",
    "celular",
];

/// Candidates and what tells whether they are one.
pub(super) const PATTERNS: &[(&str, Check)] = &[
    // E.164, and with the way out of a country before it.
    (r"(?:\+|\b00)[1-9]\d{0,2}(?:[ -]?\(\d{1,4}\)[ -]?)?(?:[ ./-]?\d){4,14}", international),
    // North America.
    (
        r"(?:1[-. ])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])[2-9]\d{2}[-. ]\d{4}(?: ?(?:x|ext\.?) ?\d{1,5})?",
        whole,
    ),
    // With the area in brackets.
    (r"\(0?\d{2,5}\)[ -]?\d{3,5}(?:[ -]?\d{2,5}){1,2}", national),
    // With a zero before the area.
    (r"0[1-9]\d{0,3}[ /-]\d{2,8}(?:[ -]\d{2,5}){0,4}", national),
    // In groups, as in Spain, Italy, Poland and others, or without any: a word must say so.
    (r"\d{2,4}(?:[ .-]?\d{2,4}){2,4}", named),
];

fn whole(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    if is_alone(text, &range) {
        found.push(range);
    }
}

fn international(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let number = text.get(range.clone()).unwrap_or_default();
    let digits = digits::of(number.trim_start_matches("00"));
    let has_plus = number.starts_with('+');
    let is_spelled = has_plus || number.contains([' ', '-', '/']);
    let fits = (8..=15).contains(&digits.len()) && is_country(&digits);
    let ends_well = !text.get(range.end..).unwrap_or_default().starts_with(char::is_alphanumeric);
    if fits && is_spelled && ends_well && !is_preceded_by_word(text, range.start) {
        found.push(range);
    }
}

/// Codes of countries that are in use: ITU-T E.164, list of November 2016 with its later changes.
fn is_country(digits: &[u32]) -> bool {
    let code = digits.iter().take(3).fold(0, |sum, it| sum * 10 + it);
    matches!(
        code,
        100..=199 | 700..=799
            | 200..=209 | 270..=279 | 300..=349 | 360..=369 | 390..=419 | 430..=499
            | 510..=589 | 600..=669 | 810..=829 | 840..=849 | 860..=869 | 900..=959 | 980..=989
            | 211..=213 | 216 | 218 | 220..=258 | 260..=269 | 290 | 291 | 297..=299
            | 350..=359 | 370..=389 | 420..=423 | 500..=509 | 590..=599 | 670..=692
            | 800 | 808 | 850..=856 | 870 | 878 | 880..=883 | 886 | 888
            | 960..=968 | 970..=977 | 979 | 992..=998
    )
}

fn national(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let number = text.get(range.clone()).unwrap_or_default();
    let count = digits::of(number).len();
    if (9..=12).contains(&count) && !is_date(number) && is_alone(text, &range) {
        found.push(range);
    }
}

/// `01-02-2026 10` and `01/02/2026`.
fn is_date(number: &str) -> bool {
    let mut parts = number.split(['-', '/', '.', ' ']);
    let lengths =
        (parts.next().map(str::len), parts.next().map(str::len), parts.next().map(str::len));
    matches!(lengths, (Some(2), Some(2), Some(4)) | (Some(4), Some(2), Some(2)))
        && !number.contains("  ")
}

fn named(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let number = text.get(range.clone()).unwrap_or_default();
    let count = digits::of(number).len();
    let fits = (7..=12).contains(&count) && !is_date(number);
    if fits && is_alone(text, &range) && has_word_before(text, range.start, &WORDS) {
        found.push(range);
    }
}

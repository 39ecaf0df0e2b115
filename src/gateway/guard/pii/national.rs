//! Numbers of persons at authorities, with their check digits. Where chance would let one in ten
//! numbers through, a word before it or the usual spelling has to say what it is. Pure.

use std::ops::Range;

use super::{Check, digits, has_word_before, is_alone};

/// Candidates and what tells whether they are one.
pub(super) const PATTERNS: &[(&str, Check)] = &[
    // United States: social security, and numbers for tax payers without one.
    (r"\d{3}[- ]\d{2}[- ]\d{4}|\d{9}", us),
    // United Kingdom: national insurance.
    (r"(?i)[a-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[a-d]", gb),
    // Spain: DNI and NIE.
    (r"(?i)(?:\d{8}|[xyz][- ]?\d{7})[- ]?[a-z]", es),
    // Italy: codice fiscale.
    (r"(?i)[a-z]{6}[0-9lmnp-v]{2}[a-ehlmprst][0-9lmnp-v]{2}[a-z][0-9lmnp-v]{3}[a-z]", it),
    // Netherlands: burgerservicenummer.
    (r"\d{4}\.\d{2}\.\d{3}|\d{3}\.\d{3}\.\d{3}|\d{9}", nl),
    // Brazil: CPF.
    (r"\d{3}\.\d{3}\.\d{3}-\d{2}|\d{11}", br),
    // Poland: PESEL. Germany: tax identification number.
    (r"\d{11}|\d{2} \d{3} \d{3} \d{3}", eleven),
    // France: numéro de sécurité sociale.
    (r"[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", fr),
    // Switzerland: AHV.
    (r"756\.?\d{4}\.?\d{4}\.?\d{2}", ch),
];

fn take(is: bool, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    if is {
        found.push(range);
    }
}

fn us(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let number = text.get(range.clone()).unwrap_or_default();
    let is_spelled = number.len() > 9 && has_one_separator(number);
    let words = ["ssn", "social security", "itin", "tin", "taxpayer"];
    let is_meant = is_spelled || (number.len() == 9 && has_word_before(text, range.start, &words));
    take(is_meant && is_alone(text, &range) && is_us(number), range, found);
}

fn has_one_separator(number: &str) -> bool {
    !(number.contains('-') && number.contains(' '))
}

/// No area 000 or 666, no group 00, no serial 0000; 900 and up are ITIN, with groups of their own.
fn is_us(number: &str) -> bool {
    let digits = digits::of(number);
    let part = |range: Range<usize>| {
        digits.get(range).unwrap_or_default().iter().fold(0, |sum, it| sum * 10 + it)
    };
    let (area, group, serial) = (part(0..3), part(3..5), part(5..9));
    let is_itin = area >= 900 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99);
    let is_ssn = !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0;
    digits.len() == 9 && (is_ssn || is_itin)
}

fn gb(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let number = text.get(range.clone()).unwrap_or_default().to_ascii_uppercase();
    let mut letters = number.chars();
    let (first, second) = (letters.next().unwrap_or(' '), letters.next().unwrap_or(' '));
    let is_prefix = !"DFIQUV".contains(first)
        && !"DFIOQUV".contains(second)
        && !["BG", "GB", "NK", "KN", "TN", "NT", "ZZ"].iter().any(|it| number.starts_with(it));
    take(is_prefix && is_alone(text, &range), range, found);
}

/// The letter is said by the rest of 23. For foreigners X, Y and Z stand for 0, 1 and 2.
fn es(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let number = text.get(range.clone()).unwrap_or_default().to_ascii_uppercase();
    let number = number.replace('X', "0").replace('Y', "1").replace('Z', "2");
    let original = text.get(range.clone()).unwrap_or_default().to_ascii_uppercase();
    let letter = original.chars().next_back();
    let digits: String = number.chars().take_while(|it| !it.is_ascii_uppercase()).collect();
    let value = digits::of(&digits).into_iter().take(8).fold(0, |sum, it| sum * 10 + it);
    let expected = "TRWAGMYFPDXBNJZSQVHLCKE".chars().nth((value % 23) as usize);
    take(letter == expected && is_alone(text, &range), range, found);
}

/// Digits may be letters where two persons would have the same (omocodia).
fn it(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    const ODD: [u32; 36] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3,
        6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    ];
    let number = text.get(range.clone()).unwrap_or_default();
    let values: Vec<_> = number.chars().filter_map(|it| it.to_digit(36)).collect();
    let value = |(place, it): (usize, &u32)| {
        let even = if *it > 9 { it - 10 } else { *it };
        if place % 2 == 0 { ODD.get(*it as usize).copied().unwrap_or_default() } else { even }
    };
    let sum: u32 = values.iter().take(15).enumerate().map(value).sum();
    let is = values.len() == 16 && values.last() == Some(&(sum % 26 + 10));
    take(is && is_alone(text, &range), range, found);
}

/// The test of 11, where the last digit counts against the others.
fn nl(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let number = text.get(range.clone()).unwrap_or_default();
    let words = ["bsn", "burgerservicenummer", "sofinummer", "sofi"];
    let is_meant = number.contains('.') || has_word_before(text, range.start, &words);
    let digits = digits::of(number);
    let weights = [9_i64, 8, 7, 6, 5, 4, 3, 2, -1];
    let sum: i64 = digits.iter().zip(weights).map(|(it, weight)| i64::from(*it) * weight).sum();
    let is = digits.len() == 9 && sum % 11 == 0 && digits.iter().any(|it| *it != 0);
    take(is_meant && is && is_alone(text, &range), range, found);
}

fn br(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let digits = digits::of(text.get(range.clone()).unwrap_or_default());
    let check = |length: u32| {
        let weights = (2..=length + 1).rev();
        let sum: u32 = digits.iter().zip(weights).map(|(it, weight)| it * weight).sum();
        Some(sum * 10 % 11 % 10)
    };
    let is_check = |place: u32| digits.get(place as usize).copied() == check(place);
    let all_same = digits.iter().all(|it| Some(it) == digits.first());
    let is = digits.len() == 11 && !all_same && is_check(9) && is_check(10);
    take(is && is_alone(text, &range), range, found);
}

fn eleven(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let number = text.get(range.clone()).unwrap_or_default();
    let digits = digits::of(number);
    let is = is_german(&digits) || (!number.contains(' ') && is_polish(&digits));
    take(is && is_alone(text, &range), range, found);
}

/// A date of birth whose month tells the century, and a weighted sum.
fn is_polish(digits: &[u32]) -> bool {
    let two = |at: usize| match digits.get(at..at + 2) {
        Some([tens, ones]) => tens * 10 + ones,
        _ => 0,
    };
    let (month, day) = (two(2) % 20, two(4));
    let weights = [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1];
    let sum: u32 = digits.iter().zip(weights).map(|(it, weight)| it * weight).sum();
    (1..=12).contains(&month) && (1..=31).contains(&day) && sum.is_multiple_of(10)
}

/// ISO 7064 modulo 11, 10. Of the first ten digits one is there twice or three times, the others at
/// most once.
fn is_german(digits: &[u32]) -> bool {
    let (Some((last, ten)), Some(1..)) = (digits.split_last(), digits.first()) else {
        return false;
    };
    let count = |digit: u32| ten.iter().filter(|it| **it == digit).count();
    let repeated: Vec<_> = (0..10).map(count).filter(|it| *it > 1).collect();
    let product = ten.iter().fold(10, |product, digit| {
        let sum = match (product + digit) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    matches!(repeated.as_slice(), [2 | 3]) && (11 - product) % 10 == *last
}

/// 97 less the rest of the number; Corsica has letters.
fn fr(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let number = text.get(range.clone()).unwrap_or_default();
    let (is_a, is_b) = (number.contains('A'), number.contains('B'));
    let plain = number.replace("2A", "19").replace("2B", "18");
    let digits = digits::of(&plain);
    let value = |part: &[u32]| part.iter().fold(0_u64, |sum, it| sum * 10 + u64::from(*it));
    let (head, tail) = digits.split_at_checked(13).unwrap_or_default();
    let month = value(digits.get(3..5).unwrap_or_default());
    let is_month = matches!(month, 1..=12 | 20 | 30..=42 | 50..=99);
    let is = digits.len() == 15 && is_month && 97 - value(head) % 97 == value(tail);
    take(is && !(is_a && is_b) && is_alone(text, &range), range, found);
}

/// The check digit of EAN-13.
fn ch(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let digits = digits::of(text.get(range.clone()).unwrap_or_default());
    let weight = |(place, it): (usize, &u32)| if place % 2 == 0 { *it } else { it * 3 };
    let sum: u32 = digits.iter().enumerate().map(weight).sum();
    take(digits.len() == 13 && sum.is_multiple_of(10) && is_alone(text, &range), range, found);
}

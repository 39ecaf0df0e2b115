//! Check digits of cards and accounts. Pure.

/// Lengths of account numbers by country: registry of SWIFT, release 99.
const IBAN_LENGTHS: [(&str, usize); 86] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
];

/// How many letters and digits an account number has that begins like this.
#[must_use]
pub fn iban_length(text: &str) -> Option<usize> {
    let country = text.get(..2)?.to_ascii_uppercase();
    IBAN_LENGTHS.iter().find(|it| it.0 == country).map(|it| it.1)
}

/// ISO 13616: the length of its country, and 1 as the rest of 97.
#[must_use]
pub fn is_iban(text: &str) -> bool {
    let letters: Vec<u8> = text.bytes().filter(u8::is_ascii_alphanumeric).collect();
    if iban_length(text) != Some(letters.len()) {
        return false;
    }
    let (head, tail) = letters.split_at_checked(4).unwrap_or_default();
    let rest = tail.iter().chain(head).fold(0_u32, |rest, letter| {
        let value = char::from(*letter).to_digit(36).unwrap_or_default();
        if value > 9 { (rest * 100 + value) % 97 } else { (rest * 10 + value) % 97 }
    });
    rest == 1
}

/// Prefixes and lengths of the brands, and ISO/IEC 7812-1: the check digit of Luhn.
#[must_use]
pub fn is_card(text: &str) -> bool {
    let digits = of(text);
    let all_same = digits.iter().all(|it| Some(it) == digits.first());
    has_brand(&digits) && is_luhn(&digits) && !all_same
}

fn has_brand(digits: &[u32]) -> bool {
    let prefix = |length: usize| digits.iter().take(length).fold(0, |sum, it| sum * 10 + it);
    let (two, three, four) = (prefix(2), prefix(3), prefix(4));
    match digits.len() {
        15 => matches!(two, 34 | 37) || matches!(four, 1800 | 2131),
        14 => matches!(three, 300..=305) || matches!(two, 36 | 38 | 39),
        16 if matches!(two, 51..=55) || matches!(four, 2221..=2720) => true,
        13 | 16 | 19 if prefix(1) == 4 => true,
        16..=19 if matches!(three, 644..=649) || four == 6011 || matches!(two, 62 | 65) => true,
        16..=19 if matches!(four, 3528..=3589) => true,
        12..=19 => {
            matches!(four, 604 | 5018 | 5020 | 5038 | 6304 | 6390 | 6759 | 6761..=6763)
                || matches!(two, 56..=58)
        }
        _ => false,
    }
}

/// The check digit of Luhn.
#[must_use]
pub fn is_luhn(digits: &[u32]) -> bool {
    let double = |it: u32| if it > 4 { it * 2 - 9 } else { it * 2 };
    let each = digits.iter().rev().enumerate();
    let sum: u32 = each.map(|(place, it)| if place % 2 == 1 { double(*it) } else { *it }).sum();
    sum.is_multiple_of(10)
}

/// The digits of a text.
#[must_use]
pub fn of(text: &str) -> Vec<u32> {
    text.chars().filter_map(|it| it.to_digit(10)).collect()
}

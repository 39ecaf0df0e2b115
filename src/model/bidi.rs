//! Characters that turn text around.

/// Whether a character sets the direction of the text behind it, so that a reader sees other words than are written
/// (Unicode Standard Annex 9, explicit directional formatting; CVE-2021-42574). The marks of one direction
/// (U+200E, U+200F) turn nothing that is theirs not to, and are not of them.
#[must_use]
pub fn is_turning(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

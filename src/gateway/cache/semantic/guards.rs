//! What two questions must share before one is answered with the answer to the other, however near their embeddings lie:
//! numbers, names, quoted words and code, negations, what is asked for, and which of two opposites. Words are English;
//! numbers, names and quotes count in every language. Whoever is in doubt says no. Pure.

mod lists;

use std::collections::BTreeSet;

use lists::{ASKED, NEGATIONS, NUMBERS, OPENERS, OPPOSITES, STOP_WORDS};

/// Marks of operators, money and code.
const SYMBOLS: &str = "+*<>=%$€£¥^|&~\\{}[]";
/// Words of one question beyond which they are not compared one by one.
const WORDS_AT_MOST: usize = 400;

/// What is looked at of a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    numbers: Vec<String>,
    names: Vec<String>,
    quoted: Vec<String>,
    negations: usize,
    asked: BTreeSet<String>,
    /// For each group of opposites, which of them are there.
    opposites: Vec<u8>,
    /// Words that carry a meaning, in their order, each once.
    words: Vec<String>,
}

impl Marks {
    /// Of a question.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut marks = Self { opposites: vec![0; OPPOSITES.len()], ..Self::default() };
        marks.quoted = quoted(text);
        marks.numbers.extend(text.chars().filter(|it| SYMBOLS.contains(*it)).map(String::from));
        let mut before = String::new();
        for (word, is_first) in words(text).take(WORDS_AT_MOST) {
            marks.word(word, is_first, &before);
            before = word.to_lowercase();
        }
        marks
    }

    fn word(&mut self, word: &str, is_first: bool, before: &str) {
        let plain = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
        let lower = plain.to_lowercase().replace('’', "'");
        if plain.contains(char::is_numeric) {
            self.numbers.push(lower.replace(',', ""));
            return;
        }
        if let Some((_, number)) = NUMBERS.iter().find(|it| it.0 == lower) {
            self.numbers.push((*number).to_owned());
        }
        if NEGATIONS.contains(&&*lower) || lower.ends_with("n't") {
            self.negations += 1;
        }
        if is_first && ASKED.contains(&&*lower) || (before == "how" && is_measure(&lower)) {
            self.asked.insert(lower.clone());
        }
        let is_name =
            is_name(plain) && !lower.ends_with("n't") && !(is_first && OPENERS.contains(&&*lower));
        if is_name && !matches!(&*lower, "i" | "i'm" | "i've" | "i'd" | "i'll") {
            self.names.push(lower.clone());
        }
        for (group, seen) in OPPOSITES.iter().zip(&mut self.opposites) {
            for (bit, stems) in group.iter().enumerate() {
                let is_there = stems.split(' ').any(|it| is_of(&lower, it));
                *seen |= u8::from(is_there) << bit;
            }
        }
        if !STOP_WORDS.contains(&&*lower) {
            let word = stem(&lower);
            if !self.words.contains(&word) {
                self.words.push(word);
            }
        }
    }

    /// What is different, where that forbids one answer for both.
    #[must_use]
    pub fn differ(&self, other: &Self) -> Option<&'static str> {
        let opposite = |(a, b): (&u8, &u8)| *a != 0 && *b != 0 && a != b;
        if self.numbers != other.numbers {
            Some("numbers")
        } else if self.quoted != other.quoted {
            Some("quoted")
        } else if self.names != other.names {
            Some("names")
        } else if self.negations != other.negations {
            Some("negation")
        } else if are_others(&self.asked, &other.asked) {
            Some("asked")
        } else if self.opposites.iter().zip(&other.opposites).any(opposite) {
            Some("opposites")
        } else if self.has_one_other_word(other) {
            Some("one word")
        } else if self.has_another_order(other) {
            Some("order")
        } else {
            None
        }
    }

    /// All words are the same but one: that one is what is asked about.
    fn has_one_other_word(&self, other: &Self) -> bool {
        let missing = |one: &Self, other: &Self| {
            one.words.iter().filter(|it| !other.words.contains(it)).count()
        };
        missing(self, other) == 1 && missing(other, self) == 1 && self.words.len() > 1
    }

    /// The words that both have stand in another order: who does what to whom. A part that has moved from the end to the
    /// beginning is no other order, so of two words nothing can be told.
    fn has_another_order(&self, other: &Self) -> bool {
        let shared = |one: &Self, other: &Self| -> Vec<String> {
            one.words.iter().filter(|it| other.words.contains(it)).cloned().collect()
        };
        let (mine, its) = (shared(self, other), shared(other, self));
        let start = mine.first().and_then(|first| its.iter().position(|it| it == first));
        let is_moved = start
            .is_some_and(|start| mine.iter().eq(its.iter().cycle().skip(start).take(mine.len())));
        mine != its && !is_moved
    }
}

/// Both ask for something, and not for the same.
fn are_others(one: &BTreeSet<String>, other: &BTreeSet<String>) -> bool {
    !one.is_empty() && !other.is_empty() && one != other
}

fn is_measure(word: &str) -> bool {
    const MEASURES: [&str; 10] =
        ["many", "much", "long", "old", "far", "often", "big", "tall", "fast", "soon"];
    MEASURES.contains(&word)
}

/// A short stem is a whole word.
fn is_of(word: &str, stem: &str) -> bool {
    if stem.len() < 4 { word == stem } else { word.starts_with(stem) }
}

/// Without the most common endings, so that one word in two forms is one.
fn stem(word: &str) -> String {
    let endings = ["ing", "ies", "ed", "es", "s"];
    let cut = endings.iter().find_map(|it| word.strip_suffix(it).filter(|it| it.len() >= 3));
    cut.unwrap_or(word).trim_end_matches('e').to_owned()
}

/// A name, an abbreviation, or a word of code.
fn is_name(word: &str) -> bool {
    let mut letters = word.chars();
    let first_is_capital = letters.next().is_some_and(char::is_uppercase);
    first_is_capital
        || letters.any(char::is_uppercase)
        || word.contains(['_', '.', '/', '@', '#', ':'])
}

/// The words, and whether each begins a sentence.
fn words(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut is_first = true;
    text.split(|it: char| it.is_whitespace() || "()\"“”`?!;,".contains(it) && it != ',')
        .flat_map(parts)
        .filter_map(move |part| {
            let word = part.trim_matches(|it: char| !it.is_alphanumeric());
            let first = is_first;
            is_first = (word.is_empty() && is_first) || part.ends_with(['.', ':']);
            (!word.is_empty()).then_some((word, first))
        })
}

/// Commas stay in numbers alone.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let is_number = text.starts_with(char::is_numeric);
    text.split(move |it: char| !is_number && it == ',')
}

/// What stands in quotes and in code, in its order.
fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['"', '“', '`', '\'', '«']) {
        let before = rest.get(..at).and_then(|it| it.chars().next_back());
        let open = rest.get(at..).and_then(|it| it.chars().next()).unwrap_or_default();
        let after = rest.get(at + open.len_utf8()..).unwrap_or_default();
        // An apostrophe is no quote.
        let is_inside = open == '\'' && before.is_some_and(char::is_alphanumeric);
        let close = match open {
            '“' => '”',
            '«' => '»',
            other => other,
        };
        let end = after.find(close).filter(|_| !is_inside);
        let Some(end) = end else {
            rest = after;
            continue;
        };
        found.push(after.get(..end).unwrap_or_default().to_owned());
        rest = after.get(end + close.len_utf8()..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(one: &str, other: &str) -> &'static str {
        Marks::of(one).differ(&Marks::of(other)).unwrap_or("")
    }

    #[test]
    fn questions_that_mean_the_same_may_share_an_answer() {
        for (one, other) in [
            ("How do I reset my password?", "I forgot my password, how can I reset it?"),
            ("What's the capital of France?", "Tell me the capital of France."),
            ("Give me 3 tips for sleeping well", "Three tips to sleep well, please"),
            ("Is it safe to eat raw eggs?", "Can raw eggs be eaten safely?"),
            ("What does `fs.open` return?", "Which value does `fs.open` return?"),
            ("Is the pool open on rainy days?", "On rainy days, is the pool open?"),
        ] {
            assert_eq!(check(one, other), "", "{one} {other}");
        }
    }

    #[test]
    fn what_must_not_differ_is_named() {
        for (one, other, what) in [
            ("Convert 15 miles to km", "Convert 50 miles to km", "numbers"),
            ("Is a balance of 1,000 enough?", "Is a balance of 10,000 enough?", "numbers"),
            ("List three rivers", "List four rivers", "numbers"),
            ("What is 7 + 2?", "What is 7 * 2?", "numbers"),
            ("Translate \"good morning\"", "Translate \"good night\"", "quoted"),
            ("What does `a.len()` do?", "What does `a.cap()` do?", "quoted"),
            ("Who founded Oracle?", "Who founded Siemens?", "names"),
            ("Paris weather today", "London weather today", "names"),
            ("Convert USD to EUR", "Convert EUR to USD", "names"),
            ("Can I eat this?", "Can't I eat this?", "negation"),
            ("Foods with sugar", "Foods without sugar", "negation"),
            ("When was it built?", "Where was it built?", "asked"),
            ("How many people live there?", "How long do people live there?", "asked"),
            ("How do I enable logging?", "How do I disable logging?", "opposites"),
            ("turn the heating on", "turn the heating off", "opposites"),
            ("best way to cook rice", "best way to cook pasta", "one word"),
            ("Is a dog heavier than a cat?", "Is a cat heavier than a dog?", "order"),
        ] {
            assert_eq!(check(one, other), what, "{one} {other}");
            assert_eq!(check(other, one), what, "{other} {one}");
        }
    }

    #[test]
    fn apostrophes_are_no_quotes_and_sentences_begin_with_no_name() {
        assert_eq!(quoted("it's 'so' and \"that\" isn't `x`"), ["so", "that", "x"]);
        assert_eq!(quoted("an open \" quote"), [""; 0]);
        assert_eq!(Marks::of("Please explain. What is it?").names, [""; 0]);
        assert_eq!(
            Marks::of("So what did Ada Lovelace's mother teach?").names,
            ["ada", "lovelace"]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_like_itself(text in ".{0,80}") {
            let marks = Marks::of(&text);
            proptest::prop_assert_eq!(marks.differ(&Marks::of(&text)), None);
        }
    }
}

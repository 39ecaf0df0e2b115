//! Words and phrases that are not to be talked about. Pure.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

/// How large the list may get, compiled.
const SIZE: usize = 32 << 20;

/// A list.
#[derive(Debug)]
pub struct Topics {
    pattern: Regex,
    /// Words of the longest phrase.
    longest: usize,
}

impl Topics {
    /// Of words and phrases; letters count in both cases, and spaces of a phrase are any.
    pub fn new(words: &[String]) -> Result<Self, String> {
        let phrase = |it: &String| {
            let words: Vec<_> = it.split_whitespace().map(regex::escape).collect();
            words.join(r"\s+")
        };
        let phrases: Vec<_> = words.iter().map(phrase).filter(|it| !it.is_empty()).collect();
        if phrases.is_empty() {
            return Err("there are no `words`".to_owned());
        }
        let pattern = format!(r"\b{{start-half}}(?:{})\b{{end-half}}", phrases.join("|"));
        let pattern = RegexBuilder::new(&pattern).case_insensitive(true).size_limit(SIZE).build();
        let longest = words.iter().map(|it| it.split_whitespace().count()).max().unwrap_or(1);
        Ok(Self { pattern: pattern.map_err(|it| it.to_string())?, longest })
    }

    /// Where they are.
    pub fn find(&self, text: &str) -> impl Iterator<Item = Range<usize>> {
        self.pattern.find_iter(text).map(|it| it.range())
    }

    /// Words of the longest phrase.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_and_phrases_count_in_any_case() {
        let list = ["Gift", "nuclear weapon", "c++"].map(str::to_owned);
        let topics = Topics::new(&list).unwrap();
        let check =
            |text: &str| topics.find(text).map(|it| text[it].to_owned()).collect::<Vec<_>>();
        assert_eq!(check("GIFT, a gift!"), ["GIFT", "gift"]);
        assert_eq!(check("a Nuclear\n  Weapon in C++."), ["Nuclear\n  Weapon", "C++"]);
        assert_eq!(check("gifted nuclear weapons c+"), [""; 0]);
        assert_eq!(topics.longest(), 2);
        assert!(Topics::new(&[" ".to_owned()]).is_err());
    }
}

//! The public tokenizers of `OpenAI`'s models, for counts of what no answer tells. They count exactly what a text is in
//! tokens; what a provider puts around it is counted by `prompt`.

mod vocabulary;
pub mod prompt;

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use vocabulary::Vocabulary;

/// The most memory that a compiled pattern, and what it remembers while it works, may take.
const PATTERN_BYTES: usize = 1 << 20;

static O200K: Vocabulary =
    Vocabulary::new(include_bytes!(concat!(env!("OUT_DIR"), "/o200k.tokens")));
static CL100K: Vocabulary =
    Vocabulary::new(include_bytes!(concat!(env!("OUT_DIR"), "/cl100k.tokens")));

/// The patterns that cut a text into pieces, of `tiktoken` (`openai_public.py`, 0.14), without the look-ahead: the last
/// alternative takes all spaces, and gives the last one back where a word follows.
static O200K_PIECES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+",
    ))
});
static CL100K_PIECES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(concat!(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+$|\s*[\r\n]|\s+",
    ))
});

fn pattern(text: &str) -> Option<Regex> {
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(8 * PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES).build().ok()
}

/// How the tokens of a model are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokenizer {
    /// `o200k_base`: GPT-4o, GPT-4.1, o1 to o4.
    O200k,
    /// The same texts, with messages and tools written as GPT-5 and gpt-oss read them.
    O200kHarmony,
    /// `cl100k_base`: GPT-4, GPT-3.5, embeddings.
    Cl100k,
    /// By the rule of `provider::estimate`, whatever the model is called.
    Rule,
}

impl Tokenizer {
    /// The one of a model, by its name. [`Tokenizer::Rule`] where it is not public, or the name says nothing.
    #[must_use]
    pub fn of_model(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name);
        let name = name.strip_prefix("ft:").unwrap_or(name);
        let is_of = |families: &[&str]| {
            families.iter().any(|it| {
                name.strip_prefix(it).is_some_and(|rest| {
                    it.ends_with('-') || rest.is_empty() || rest.starts_with(['-', ':', '.', '@'])
                })
            })
        };
        // Longer names first: `gpt-4o` is no `gpt-4`, and `gpt-4.1` and `gpt-4.5` are not either.
        if is_of(&["gpt-5", "gpt-oss"]) {
            return Self::O200kHarmony;
        }
        if is_of(&["gpt-4o", "chatgpt-4o", "gpt-4.1", "gpt-4.5", "o1", "o3", "o4", "codex-mini"]) {
            return Self::O200k;
        }
        let cl100k = [
            "gpt-4",
            "gpt-3.5",
            "gpt-35",
            "text-embedding-3",
            "text-embedding-ada-002",
            "davinci-002",
            "babbage-002",
        ];
        if is_of(&cl100k) { Self::Cl100k } else { Self::Rule }
    }

    /// The word in the flags of a call that was counted with it.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::O200k | Self::O200kHarmony => "counted_o200k",
            Self::Cl100k => "counted_cl100k",
            Self::Rule => "counted_by_rule",
        }
    }

    /// Whether it is one, and not the rule.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self != Self::Rule
    }

    /// What a text is in tokens. Takes 0.03 to 0.2 ms for each KiB, so it is not for the path of every call.
    #[must_use]
    pub fn count(self, text: &str) -> u64 {
        let (pieces, vocabulary) = match self {
            Self::O200k | Self::O200kHarmony => (&*O200K_PIECES, &O200K),
            Self::Cl100k => (&*CL100K_PIECES, &CL100K),
            Self::Rule => return super::of_text(text.as_bytes()),
        };
        let Some(pieces) = pieces else { return super::of_text(text.as_bytes()) };
        let (mut rest, mut tokens) = (text, 0);
        while let Some(found) = pieces.find(rest).filter(|it| !it.is_empty()) {
            let piece = found.as_str();
            let end = found.end() - given_back(piece, rest.len() == found.end());
            tokens += vocabulary.tokens(rest.get(..end).unwrap_or(piece).as_bytes());
            rest = rest.get(end..).unwrap_or_default();
        }
        tokens
    }
}

/// How many bytes of a piece belong to the next one: the last space of several, where a word follows.
fn given_back(piece: &str, is_last: bool) -> usize {
    let is_blank =
        !is_last && piece.chars().all(char::is_whitespace) && !piece.ends_with(['\r', '\n']);
    let last = piece.chars().next_back().map_or(0, char::len_utf8);
    if is_blank && last < piece.len() { last } else { 0 }
}

#[cfg(test)]
mod tests;

//! Which names of models a price is for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pattern of names: texts with `*`, any of several, all of several, or a regular expression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Matcher {
    /// A name; `*` stands for any letters.
    Glob(String),
    /// Any of several.
    Any(Vec<Matcher>),
    /// All of several.
    All {
        /// The several.
        all: Vec<Matcher>,
    },
    /// A regular expression.
    Regex {
        /// The expression.
        regex: Expression,
    },
}

impl Matcher {
    /// Whether a name is meant. Upper and lower case are the same, as providers write both.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Glob(pattern) => glob(pattern.as_bytes(), name.as_bytes()),
            Self::Any(several) => several.iter().any(|it| it.matches(name)),
            Self::All { all } => all.iter().all(|it| it.matches(name)),
            Self::Regex { regex } => regex.0.is_match(name),
        }
    }

    /// Whether a name is there in full, and not only by a pattern.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        match self {
            Self::Glob(own) => !own.contains('*') && own.eq_ignore_ascii_case(name),
            Self::Any(several) => several.iter().any(|it| it.names(name)),
            Self::All { .. } | Self::Regex { .. } => false,
        }
    }

    /// Whether it is for nothing, for it has no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Any(several) => several.iter().all(Self::is_empty),
            Self::Glob(_) | Self::All { .. } | Self::Regex { .. } => false,
        }
    }

    /// Whether there may be a name that both are for; `true` where that is not easily told.
    #[must_use]
    pub fn may_meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any(several), one) | (one, Self::Any(several)) => {
                several.iter().any(|it| it.may_meet(one))
            }
            (Self::Glob(name), one) | (one, Self::Glob(name)) if !name.contains('*') => {
                one.matches(name)
            }
            (Self::Glob(one), Self::Glob(other)) => globs_meet(one, other),
            (Self::All { .. } | Self::Regex { .. }, _)
            | (_, Self::All { .. } | Self::Regex { .. }) => true,
        }
    }

    /// The names that are there in full.
    #[must_use]
    pub fn in_full(&self) -> Vec<&str> {
        match self {
            Self::Glob(own) if !own.contains('*') => vec![own.as_str()],
            Self::Any(several) => several.iter().flat_map(Self::in_full).collect(),
            Self::Glob(_) | Self::All { .. } | Self::Regex { .. } => Vec::new(),
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Glob(own) => f.write_str(own),
            Self::Any(several) => list(several, " or ", f),
            Self::All { all } => list(all, " and ", f),
            Self::Regex { regex } => write!(f, "/{regex:?}/"),
        }
    }
}

fn list(several: &[Matcher], word: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let several: Vec<_> = several.iter().map(ToString::to_string).collect();
    f.write_str(&several.join(word))
}

/// Whether a name can be of both patterns, which have a `*` each: what is before the first and behind the last has to fit.
fn globs_meet(one: &str, other: &str) -> bool {
    let ends = |it: &str| {
        let (start, rest) = it.split_once('*').unwrap_or((it, ""));
        let end = rest.rsplit('*').next().unwrap_or_default();
        (start.to_ascii_lowercase(), end.to_ascii_lowercase())
    };
    let ((start, end), (other_start, other_end)) = (ends(one), ends(other));
    (start.starts_with(&other_start) || other_start.starts_with(&start))
        && (end.ends_with(&other_end) || other_end.ends_with(&end))
}

/// Whether `*` of the pattern can be filled so that it is the name. Goes back only to the last star,
/// so it takes at most pattern times name steps.
pub fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen, mut star) = (0, 0, None);
    while let Some(letter) = name.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(it) if it.eq_ignore_ascii_case(letter) => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star_at, star_seen)) = star else { return false };
                star = Some((star_at, star_seen + 1));
                at = star_at + 1;
                seen = star_seen + 1;
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|it| *it == b'*')
}

/// A regular expression.
#[derive(Clone)]
pub struct Expression(regex::Regex);

impl Expression {
    /// Reads one.
    pub fn new(text: &str) -> Result<Self, String> {
        let built =
            regex::RegexBuilder::new(text).case_insensitive(true).size_limit(1 << 20).build();
        built.map(Self).map_err(|it| it.to_string())
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Serialize for Expression {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

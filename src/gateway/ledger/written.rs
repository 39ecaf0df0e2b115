//! A line of a ledger's file, as it is read again: at the start of its gateway, and for sums. Pure.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::row::Origin;
use crate::gateway::budget::Entry;
use crate::gateway::budget::scope::Subject;
use crate::model::{Timestamp, Usage, UsdNanos};

/// The kinds of lines.
const KINDS: [&str; 3] = ["entry", "call", "alert"];
/// Letters that are said of a kind that is not known, and of what is wrong.
const KIND_LETTERS: usize = 40;
const WHY_LETTERS: usize = 200;

/// A line.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Written {
    /// What was reserved, or how it was closed.
    Entry(Entry),
    /// One attempt.
    Call(Box<Call>),
    /// A threshold of a budget: nothing that is summed up.
    Alert {},
}

/// What is summed up of a row.
#[derive(Debug, Deserialize)]
pub(super) struct Call {
    pub(super) at: Timestamp,
    pub(super) subject: Subject,
    pub(super) operation: String,
    pub(super) model: String,
    pub(super) origin: Origin,
    pub(super) usage: Usage,
    pub(super) cost: UsdNanos,
    pub(super) avoided: UsdNanos,
    #[serde(default)]
    pub(super) tags: String,
}

/// Reads a line, or says what is wrong with it.
pub(super) fn read(line: &[u8]) -> Result<Written, String> {
    serde_json::from_slice(line).map_err(|error| match unknown_kind(line) {
        Some(kind) => format!(
            "it is of the kind `{}`, and known are `{}`: a newer version may have written it",
            few(&kind, KIND_LETTERS),
            KINDS.join("`, `")
        ),
        None => few(&error.to_string(), WHY_LETTERS),
    })
}

fn unknown_kind(line: &[u8]) -> Option<String> {
    let members = serde_json::from_slice::<Map<String, Value>>(line).ok()?;
    let is_known = members.keys().any(|it| KINDS.contains(&it.as_str()));
    members.into_iter().next().map(|it| it.0).filter(|_| !is_known)
}

/// The first letters, without what would play with a terminal.
fn few(text: &str, letters: usize) -> String {
    let more = if text.chars().nth(letters).is_some() { "…" } else { "" };
    let shown = text.chars().take(letters);
    let shown: String = shown.map(|it| if it.is_control() { '?' } else { it }).collect();
    shown + more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(line: &str) -> String {
        read(line.as_bytes()).map_or_else(|why| why, |it| format!("{it:?}"))
    }

    #[test]
    fn a_line_of_another_kind_is_named_with_those_that_are_known() {
        assert_eq!(why(r#"{"alert":{"budget":"all","percent":50}}"#), "Alert");
        assert_eq!(
            why(r#"{"credit":{"money":5}}"#),
            "it is of the kind `credit`, and known are `entry`, `call`, `alert`: a newer version may have written it"
        );
        let long = why(&format!("{{\"{}\": 1}}", "k\u{9b}".repeat(1000)));
        assert!(long.contains("`k?k?") && long.contains("…`") && long.len() < 300, "{long}");
    }

    #[test]
    fn a_line_of_a_known_kind_with_a_bad_value_is_named() {
        for line in
            ["7", "{}", r#"{"entry":7}"#, r#"{"call":{"cost":1}}"#, r#"{"alert":1}"#, "x", ""]
        {
            assert!(read(line.as_bytes()).is_err(), "{line}");
        }
        let reserved = r#"{"entry":{"reserved":{"reservation":{"id":{"request":340282366920938463463374607431768211455,"attempt":1},"subject":{},"estimate":{"money":"x","tokens":1},"deadline":9},"at":5}}}"#;
        assert!(why(reserved).starts_with("invalid type: string"), "{}", why(reserved));
        let good = reserved.replace("\"x\"", "7");
        assert!(why(&good).starts_with("Entry(Reserved"), "{}", why(&good));
        let long = why(&reserved.replace("\"x\"", &format!("\"{}\"", "x".repeat(5000))));
        assert!(long.chars().count() <= WHY_LETTERS + 1, "{long}");
    }
}

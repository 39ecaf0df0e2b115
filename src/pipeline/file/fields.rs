//! Reads mappings key by key: unknown keys, wrong types and missing keys are recorded, and the
//! reading goes on.

use std::collections::BTreeMap;

use super::scalar;
use crate::pipeline::diagnostic::Place;
use crate::pipeline::reading::{Reading, known_words};
use crate::pipeline::yaml::{Entry, Node, Value};

/// A type that can be read from a node. `None` means that the problem has been recorded.
pub(crate) trait Read: Sized {
    /// Reads `node`; `label` names it in messages.
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self>;
}

/// The keys of one mapping.
pub(crate) struct Fields<'n> {
    pub(crate) entries: &'n [Entry],
    pub(crate) place: Place,
    label: String,
    reading: &'n Reading,
    keys: &'static [&'static str],
}

impl<'n> Fields<'n> {
    /// The mapping `node`, of which only `keys` are known.
    pub(crate) fn of(
        node: &'n Node,
        label: &str,
        keys: &'static [&'static str],
        reading: &'n Reading,
    ) -> Option<Self> {
        let entries = mapping(node, label, &known_words("keys", keys), reading)?;
        for entry in entries {
            if !keys.contains(&entry.key.as_str()) {
                unknown_key(entry, label, keys, reading);
            }
        }
        Some(Self { entries, place: node.place, label: label.to_owned(), reading, keys })
    }

    /// Whether an unknown key was probably meant to be one of these.
    pub(crate) fn has_slip_of(&self, wanted: &[&'static str]) -> bool {
        let unknown = self.entries.iter().filter(|it| !self.keys.contains(&it.key.as_str()));
        unknown
            .filter_map(|it| meant(&it.key, self.keys, self.reading))
            .any(|it| wanted.contains(&it))
    }

    /// The node below a key.
    pub(crate) fn find(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A key and the node below it.
    pub(crate) fn entry(&self, key: &str) -> Option<&'n Entry> {
        debug_assert!(self.keys.contains(&key), "`{key}` is not listed for {}", self.label);
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value below a key, if it is there and right.
    pub(crate) fn read<T: Read>(&self, key: &str) -> Option<T> {
        let node = self.find(key)?;
        T::read(node, &format!("`{key}`"), self.reading)
    }

    /// The value below a key, or its default.
    pub(crate) fn read_or<T: Read>(&self, key: &str, default: T) -> T {
        self.read(key).unwrap_or(default)
    }

    /// The list below a key; an empty one is refused, as it would do something else than it seems to.
    pub(crate) fn read_filled<T: Read>(&self, key: &str, help: &str) -> Option<Vec<T>> {
        let node = self.find(key)?;
        if items(node).is_empty() {
            let message = format!("`{key}` is an empty list");
            self.reading.error("pipeline/empty-list", node.place, message, help);
            return None;
        }
        self.read(key)
    }

    /// The value below a key that must be there.
    pub(crate) fn require<T: Read>(&self, key: &str, example: &str) -> Option<T> {
        if self.find(key).is_some() {
            return self.read(key);
        }
        let message = format!("{} has no `{key}`", self.label);
        let help = format!("add it, such as `{key}: {example}`");
        self.reading.error("pipeline/missing-key", self.place, message, help);
        None
    }
}

/// The entries of a mapping, or a problem that shows what was expected.
pub(crate) fn mapping<'n>(
    node: &'n Node,
    label: &str,
    help: &str,
    reading: &Reading,
) -> Option<&'n [Entry]> {
    if let Value::Mapping(entries) = &node.value {
        return Some(entries);
    }
    wrong_type(node, label, "a mapping (`key: value`)", reading, help);
    None
}

/// The items of a list; a single value counts as a list of one.
pub(crate) fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::Sequence(items) => items,
        Value::Scalar(_) | Value::Mapping(_) => std::slice::from_ref(node),
    }
}

/// Records that something else was expected.
pub(crate) fn wrong_type(node: &Node, label: &str, expected: &str, reading: &Reading, help: &str) {
    let message = format!("{label} must be {expected}, found {}", node.describe());
    reading.error("pipeline/wrong-type", node.place, message, help);
}

fn unknown_key(entry: &Entry, label: &str, keys: &[&str], reading: &Reading) {
    let message = format!("unknown key `{}` in {label}", entry.key);
    let help = match entry.key.as_str() {
        "<<" => "YAML 1.2 has no merge keys; put what is shared into `defaults`".to_owned(),
        other => foreign_word(other, keys)
            .map_or_else(|| reading.suggest(other, "keys", keys), str::to_owned),
    };
    reading.error("pipeline/unknown-key", entry.key_place, message, help);
}

/// Words of other engines, ours, and what to say.
const FOREIGN: &[(&str, &str, &str)] = &[
    ("script", "run", "the commands of a stage are `run`"),
    ("commands", "run", "the commands of a stage are `run`"),
    ("jobs", "stages", "the jobs of other engines are `stages` here"),
    ("variables", "env", "variables are `env`"),
    ("environment_variables", "env", "variables are `env`"),
    ("depends_on", "needs", "dependencies are `needs`"),
    ("runs-on", "image", "a stage runs in a container: give its `image`"),
    ("strategy", "matrix", "write `matrix` directly below the stage"),
    ("container", "image", "the container of a stage is its `image`"),
    ("when", "if", "conditions are `if`"),
    ("rules", "if", "conditions are `if`"),
    ("only", "if", "conditions are `if`"),
    ("timeout-minutes", "timeout", "write `timeout: 15m`"),
    ("continue-on-error", "allow_failure", "write `allow_failure` with a date and a reason"),
];

fn foreign_word(key: &str, keys: &[&str]) -> Option<&'static str> {
    FOREIGN.iter().find(|(word, ours, _)| *word == key && keys.contains(ours)).map(|it| it.2)
}

/// The known key that an unknown one was probably meant to be.
fn meant(key: &str, keys: &'static [&'static str], reading: &Reading) -> Option<&'static str> {
    let foreign = FOREIGN.iter().find(|(word, ours, _)| *word == key && keys.contains(ours));
    foreign.map(|it| it.1).or_else(|| reading.closest(key, keys.iter().copied()))
}

impl<T: Read> Read for Vec<T> {
    /// A list; a single value counts as a list of one.
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        match &node.value {
            Value::Sequence(items) => {
                let label = format!("an item of {label}");
                Some(items.iter().filter_map(|it| T::read(it, &label, reading)).collect())
            }
            Value::Scalar(_) | Value::Mapping(_) => Some(vec![T::read(node, label, reading)?]),
        }
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let entries = mapping(node, label, "", reading)?;
        let read = |entry: &Entry| {
            let label = format!("`{}`", entry.key);
            Some((entry.key.clone(), T::read(&entry.value, &label, reading)?))
        };
        Some(entries.iter().filter_map(read).collect())
    }
}

/// `a`, `b` or `c`.
fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|it| format!("`{it}`")).collect();
    match quoted.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => quoted.concat(),
    }
}

/// A value of a few words.
pub(crate) fn choice<T: Copy>(
    node: &Node,
    label: &str,
    words: &[(&str, T)],
    reading: &Reading,
) -> Option<T> {
    let text = scalar::text(node);
    if let Some((_, value)) = words.iter().find(|(word, _)| text == Some(*word)) {
        return Some(*value);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let expected = either(&known);
    let close = text.and_then(|it| reading.closest(it, known.iter().copied()));
    let help = close.map_or_else(String::new, |it| format!("did you mean `{it}`?"));
    wrong_type(node, label, &expected, reading, &help);
    None
}

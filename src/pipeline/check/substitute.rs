//! Puts the values of a template's inputs in the place of `${{ inputs.x }}`, and of `inputs.x` in
//! expressions. Commands (`run`) are left alone: nothing is ever pasted into shell text.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::pipeline::diagnostic::Place;
use crate::pipeline::file::reference::{inner_expressions, references};
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::{Entry, Node, Scalar, Value};

/// Bytes of an included file with its inputs put in.
const MOST_WEIGHT: usize = 16 << 20;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// A text with `${{ }}`.
    Text,
    /// An expression.
    Expression,
    /// Shell text.
    Shell,
    /// A list of steps, whose plain items are shell text.
    Steps,
}

struct Substitution<'a> {
    values: &'a BTreeMap<String, Json>,
    reading: &'a Reading,
    weight: usize,
}

/// The tree with all inputs put in; `None` when it grows too large.
pub(super) fn substitute(
    tree: Node,
    values: &BTreeMap<String, Json>,
    reading: &Reading,
) -> Option<Node> {
    let place = tree.place;
    let mut work = Substitution { values, reading, weight: 0 };
    let tree = work.node(tree, Mode::Text);
    if work.weight > MOST_WEIGHT {
        let message = format!("with its inputs the file is larger than {} MiB", MOST_WEIGHT >> 20);
        reading.error("pipeline/limit", place, message, "use shorter inputs, or fewer of them");
        return None;
    }
    Some(tree)
}

impl Substitution<'_> {
    fn node(&mut self, node: Node, mode: Mode) -> Node {
        let place = node.place;
        let value = match node.value {
            Value::Scalar(scalar) => Value::Scalar(self.scalar(scalar, mode, place)),
            Value::Sequence(items) => {
                Value::Sequence(items.into_iter().map(|it| self.node(it, mode)).collect())
            }
            Value::Mapping(entries) => {
                Value::Mapping(entries.into_iter().map(|it| self.entry(it, mode)).collect())
            }
        };
        Node { place, value }
    }

    fn entry(&mut self, entry: Entry, mode: Mode) -> Entry {
        let below = match (entry.key.as_str(), mode) {
            ("run", _) => Mode::Shell,
            ("steps", _) => Mode::Steps,
            ("if" | "gate", _) | (_, Mode::Expression) => Mode::Expression,
            (_, Mode::Text | Mode::Shell | Mode::Steps) => Mode::Text,
        };
        let key = self.text(&entry.key, entry.key_place).unwrap_or(entry.key);
        Entry { key, key_place: entry.key_place, value: self.node(entry.value, below) }
    }

    fn scalar(&mut self, scalar: Scalar, mode: Mode, place: Place) -> Scalar {
        if matches!(mode, Mode::Shell | Mode::Steps) || self.weight > MOST_WEIGHT {
            return scalar;
        }
        if let Some(value) = self.whole(&scalar.text) {
            return Scalar::from_json(value);
        }
        let text = match mode {
            Mode::Expression if !scalar.text.contains("${{") => {
                self.expression(&scalar.text, place)
            }
            Mode::Expression | Mode::Text | Mode::Shell | Mode::Steps => {
                self.text(&scalar.text, place)
            }
        };
        let Some(text) = text else { return scalar };
        self.weight += text.len();
        Scalar { text, verbatim: None, ..scalar }
    }

    /// The value of a text that is one `${{ inputs.x }}` and nothing else.
    fn whole(&self, text: &str) -> Option<&Json> {
        let inner = text.trim().strip_prefix("${{")?.strip_suffix("}}")?.trim();
        self.values.get(inner.strip_prefix("inputs.")?)
    }

    /// `None` when nothing changes.
    fn text(&self, text: &str, place: Place) -> Option<String> {
        if !text.contains("${{") {
            return None;
        }
        let (mut out, mut at, mut is_changed) = (String::new(), 0, false);
        for (start, end) in inner_expressions(text) {
            let inner = text.get(start..end)?;
            let name = inner.trim().strip_prefix("inputs.").unwrap_or_default();
            if let Some(value) = self.values.get(name) {
                out.push_str(text.get(at..start.checked_sub(3)?)?);
                out.push_str(&shown(value));
                at = (end + 2).min(text.len());
            } else if let Some(inner) = self.expression(inner, place) {
                out.push_str(text.get(at..start)?);
                out.push_str(&inner);
                at = end;
            } else {
                continue;
            }
            is_changed = true;
        }
        out.push_str(text.get(at..)?);
        is_changed.then_some(out)
    }

    /// An expression with literals in the place of `inputs.x`; `None` when nothing changes.
    fn expression(&self, source: &str, place: Place) -> Option<String> {
        let (mut out, mut at) = (String::new(), 0);
        for reference in references(source).iter().filter(|it| it.root == "inputs") {
            let name = reference.member.as_deref().unwrap_or_default();
            let Some(value) = self.values.get(name) else {
                self.refuse(name, place);
                continue;
            };
            out.push_str(source.get(at..reference.start)?);
            out.push_str(&literal(value));
            at = reference.end;
        }
        if at == 0 {
            return None;
        }
        out.push_str(source.get(at..)?);
        Some(out)
    }

    fn refuse(&self, name: &str, place: Place) {
        let known: Vec<&str> = self.values.keys().map(String::as_str).collect();
        let message = format!("this file declares no input `{name}`");
        let help = self.reading.suggest(name, "inputs", &known);
        self.reading.error("pipeline/unknown-input", place, message, help);
    }
}

fn shown(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A CEL literal. JSON's escapes are CEL's, except that of the solidus, which is not written.
fn literal(value: &Json) -> String {
    value.to_string()
}

//! Values of attributes as JSON: within bounds, without secrets, without what a terminal would take for an order. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Number, Value};

use super::said;
use super::wire::{AnyValue, Kind};
use crate::gateway::ledger::trail::trails::Trails;

/// Bytes of a text.
const TEXT_BYTES: usize = 2_048;
/// Items of a list, and lists in lists.
const ITEMS_AT_MOST: usize = 64;
const DEPTH_AT_MOST: usize = 4;
/// Bytes that are no text.
const BYTES_AT_MOST: usize = 256;
const REDACTED: &str = "[redacted]";

/// How much of them there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Of all of them.
    pub(super) bytes: usize,
    /// Of a name.
    pub(super) name: usize,
}

/// Makes values until there is no more room.
#[derive(Debug)]
pub(super) struct Values<'a> {
    trails: &'a Trails,
    key_text: &'a str,
    is_redacted: bool,
    bounds: Bounds,
}

impl<'a> Values<'a> {
    pub(super) fn new(
        trails: &'a Trails,
        (key_text, is_redacted): (&'a str, bool),
        bounds: Bounds,
    ) -> Self {
        Self { trails, key_text, is_redacted, bounds }
    }

    /// Whether that may be the name of an attribute.
    pub(super) fn is_name(&self, name: &str) -> bool {
        !name.is_empty() && name.len() <= self.bounds.name && !name.chars().any(char::is_control)
    }

    /// The value of an attribute; `None` when there is no more room. A value that is not there is null.
    pub(super) fn attribute(&mut self, name: &str, value: Option<AnyValue>) -> Option<Value> {
        if self.bounds.bytes < name.len() {
            return None;
        }
        let value = self.named(name, value, 0);
        let bytes = name.len() + size(&value);
        self.bounds.bytes = self.bounds.bytes.checked_sub(bytes)?;
        Some(value)
    }

    /// A text of so many bytes at most, without secrets.
    pub(super) fn text(&self, text: &str, most: usize) -> String {
        // Longer than what is kept, so that what is cut through is still known for what it is.
        let head = text.get(..text.floor_char_boundary(2 * most)).unwrap_or_default();
        let is_whole = head.len() == text.len();
        let head = head.replace(self.key_text, REDACTED);
        let mut clean = self.trails.scrubbed(&without_controls(&head), self.is_redacted);
        if clean.len() <= most && is_whole {
            return clean;
        }
        clean.truncate(clean.floor_char_boundary(most.saturating_sub('…'.len_utf8())));
        clean.push('…');
        clean
    }

    fn named(&self, name: &str, value: Option<AnyValue>, depth: usize) -> Value {
        let Some(kind) = value.and_then(|it| it.kind) else { return Value::Null };
        if said::is_secret(name, &kind) {
            return Value::from(REDACTED);
        }
        match kind {
            Kind::Text(text) => Value::from(self.text(said::of_address(name, &text), TEXT_BYTES)),
            other @ (Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Double(_)
            | Kind::Array(_)
            | Kind::Members(_)
            | Kind::Bytes(_)) => self.other(name, other, depth),
        }
    }

    fn other(&self, name: &str, kind: Kind, depth: usize) -> Value {
        match kind {
            Kind::Bool(is) => Value::from(is),
            Kind::Int(number) => Value::from(number),
            Kind::Double(number) => match Number::from_f64(number) {
                Some(number) => Value::Number(number),
                None => Value::from(number.to_string()),
            },
            Kind::Bytes(bytes) => {
                Value::from(BASE64.encode(bytes.get(..BYTES_AT_MOST).unwrap_or(&bytes)))
            }
            Kind::Array(_) | Kind::Members(_) if depth >= DEPTH_AT_MOST => Value::from("…"),
            Kind::Array(list) => {
                let items = list.values.into_iter().take(ITEMS_AT_MOST);
                items.map(|it| self.named(name, Some(it), depth + 1)).collect()
            }
            Kind::Members(list) => {
                let members = list.values.into_iter().take(ITEMS_AT_MOST);
                let members = members.filter(|it| self.is_name(&it.key));
                let members = members
                    .filter(|it| !said::is_content(&it.key, ""))
                    .map(|it| (self.named(&it.key, it.value, depth + 1), it.key));
                Value::Object(members.map(|(value, name)| (name, value)).collect::<Map<_, _>>())
            }
            Kind::Text(text) => Value::from(self.text(&text, TEXT_BYTES)),
        }
    }
}

/// Lines and tabs stay.
pub(super) fn without_controls(text: &str) -> String {
    let is_control = |it: char| it.is_control() && !matches!(it, '\n' | '\t');
    text.replace(is_control, "\u{fffd}")
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|it| size(it) + 1).sum(),
        Value::Object(members) => members.iter().map(|(name, it)| name.len() + size(it)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

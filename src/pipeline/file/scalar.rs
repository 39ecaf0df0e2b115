//! Single values: texts, names, numbers, templates and expressions.

use std::collections::BTreeMap;

use super::fields::{Read, mapping, wrong_type};
use super::occurrence::{self, Use};
use crate::pipeline::diagnostic::Place;
use crate::pipeline::plan::{MODEL_CALL_MODES, MODEL_CALLS};
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::{Entry, Node, Scalar, ScalarKind, Value};
use crate::pipeline::{Expression, Template};

/// Characters of the longest name.
const LONGEST_NAME: usize = 63;

/// The scalar of a node.
pub(crate) fn scalar(node: &Node) -> Option<&Scalar> {
    match &node.value {
        Value::Scalar(scalar) => Some(scalar),
        Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

/// The text of a scalar that is text by its form.
pub(crate) fn text(node: &Node) -> Option<&str> {
    scalar(node).filter(|it| it.kind == ScalarKind::Text).map(|it| it.text.as_str())
}

impl Read for String {
    /// Text that is not empty. Numbers are taken as written, fractions with a warning.
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let Some(scalar) = scalar(node) else {
            wrong_type(node, label, "a text", reading, "");
            return None;
        };
        match scalar.kind {
            ScalarKind::Text if !scalar.text.is_empty() => {}
            ScalarKind::Int(_) => {}
            ScalarKind::Float(_) => warn_about_fraction(node, scalar, reading),
            ScalarKind::Bool(_) => {
                let help = format!("quote it if it is meant: `\"{}\"`", scalar.text);
                wrong_type(node, label, "a text", reading, &help);
                return None;
            }
            ScalarKind::Null | ScalarKind::Text => {
                let help = "write a value, or remove the key";
                wrong_type(node, label, "a text", reading, help);
                return None;
            }
        }
        Some(scalar.text.clone())
    }
}

fn warn_about_fraction(node: &Node, scalar: &Scalar, reading: &Reading) {
    if scalar.verbatim.is_none() {
        return;
    }
    let message = format!("`{}` is a number to YAML, and text is meant", scalar.text);
    let help = format!("quote it: `\"{}\"`", scalar.text);
    reading.warn("pipeline/unquoted-number", node.place, message, help);
}

/// Text as the program gets it: numbers and booleans as written, and it may be empty.
pub(crate) struct Loose(pub(crate) String);

impl Read for Loose {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let Some(scalar) = scalar(node) else {
            wrong_type(node, label, "a text", reading, "");
            return None;
        };
        match scalar.kind {
            ScalarKind::Null => {
                wrong_type(node, label, "a text", reading, "write `\"\"` for an empty text");
                return None;
            }
            ScalarKind::Float(_) => warn_about_fraction(node, scalar, reading),
            ScalarKind::Text | ScalarKind::Bool(_) | ScalarKind::Int(_) => {}
        }
        Some(Self(scalar.text.clone()))
    }
}

/// A list of texts in which numbers are fine, such as the values of a matrix.
pub(crate) fn loose_list(node: &Node, label: &str, reading: &Reading) -> Option<Vec<String>> {
    let list = Vec::<Loose>::read(node, label, reading)?;
    Some(list.into_iter().map(|it| it.0).collect())
}

/// Free text for people, such as a reason: may be anything.
impl Read for bool {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        if let Some(Scalar { kind: ScalarKind::Bool(value), .. }) = scalar(node) {
            return Some(*value);
        }
        let is_old = text(node).map(str::to_lowercase);
        let help = match is_old.as_deref() {
            Some("yes" | "on" | "y") => "YAML 1.2 knows only `true` and `false`: write `true`",
            Some("no" | "off" | "n") => "YAML 1.2 knows only `true` and `false`: write `false`",
            Some("true" | "false") => "remove the quotes",
            _ => "",
        };
        wrong_type(node, label, "`true` or `false`", reading, help);
        None
    }
}

/// A whole number inside its range.
pub(crate) fn whole(
    node: &Node,
    label: &str,
    range: std::ops::RangeInclusive<i64>,
    reading: &Reading,
) -> Option<i64> {
    let (from, to) = (*range.start(), *range.end());
    let found = match scalar(node).map(|it| it.kind) {
        Some(ScalarKind::Int(value)) => Some(value),
        _ => None,
    };
    if let Some(value) = found.filter(|it| range.contains(it)) {
        return Some(value);
    }
    let expected = if to == i64::MAX {
        format!("a whole number of at least {from}")
    } else {
        format!("a whole number from {from} to {to}")
    };
    let is_quoted = text(node).is_some_and(|it| it.parse::<i64>().is_ok());
    let help = if is_quoted { "remove the quotes" } else { "" };
    wrong_type(node, label, &expected, reading, help);
    None
}

/// A number above or equal to zero.
pub(crate) fn number(node: &Node, label: &str, reading: &Reading) -> Option<f64> {
    match scalar(node).map(|it| it.kind) {
        #[expect(clippy::cast_precision_loss, reason = "thresholds and counts are small")]
        Some(ScalarKind::Int(value)) if value >= 0 => Some(value as f64),
        Some(ScalarKind::Float(value)) if value >= 0.0 && value.is_finite() => Some(value),
        _ => {
            wrong_type(node, label, "a number of at least 0", reading, "");
            None
        }
    }
}

/// A name of the format: `[a-z0-9_-]{1,63}`.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// Checks a name, and proposes one that fits.
pub(crate) fn check_name(name: &str, what: &str, place: Place, reading: &Reading) -> bool {
    if is_name(name) {
        return true;
    }
    let shown: String = name.chars().take(80).collect();
    let what = if what.is_empty() { String::new() } else { format!("{what} ") };
    let message = format!(
        "{what}`{shown}` is no name: use 1 to {LONGEST_NAME} lower-case letters, digits, `_` and `-`"
    );
    let fixed: String =
        name.trim().to_lowercase().chars().map(replaced).take(LONGEST_NAME).collect();
    let has_word = fixed.contains(|c: char| c.is_ascii_alphanumeric());
    let help =
        if has_word && is_name(&fixed) { format!("such as `{fixed}`") } else { String::new() };
    reading.error("pipeline/name", place, message, help);
    false
}

fn replaced(c: char) -> char {
    if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }
}

/// A name as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) String);

impl Read for Name {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let name = String::read(node, label, reading)?;
        check_name(&name, "", node.place, reading).then_some(Self(name))
    }
}

impl Read for Template {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let source = String::read(node, label, reading)?;
        occurrence::template(&source, Use::Field, node, reading)
    }
}

/// A template that must be known when the run is created.
pub(crate) struct Early(pub(crate) Template);

impl Read for Early {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let source = String::read(node, label, reading)?;
        occurrence::template(&source, Use::Early, node, reading).map(Self)
    }
}

impl Read for Expression {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let source = match scalar(node) {
            Some(Scalar { kind: ScalarKind::Bool(value), .. }) => value.to_string(),
            _ => String::read(node, label, reading)?,
        };
        occurrence::condition(&source, node, reading)
    }
}

/// Text in which `${{ }}` has no meaning and is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plain(pub(crate) String);

impl Read for Plain {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let text = String::read(node, label, reading)?;
        if text.contains("${{") {
            let message = format!("`${{{{ }}}}` is not possible in {label}");
            let help = "write the value itself";
            reading.error("pipeline/no-template-here", node.place, message, help);
            return None;
        }
        Some(Self(text))
    }
}

/// Environment variables: values as the program gets them.
pub(crate) fn environment(
    node: &Node,
    label: &str,
    reading: &Reading,
) -> Option<BTreeMap<String, Template>> {
    read_environment(node, label, &[], reading)
}

/// Those of a stage, which may say what its recorded calls of models are for.
pub(crate) fn stage_environment(
    node: &Node,
    label: &str,
    reading: &Reading,
) -> Option<BTreeMap<String, Template>> {
    let found = read_environment(node, label, &[MODEL_CALLS], reading)?;
    let mode = found.get(MODEL_CALLS).and_then(Template::as_text);
    let mode = mode.filter(|it| !it.is_empty() && !MODEL_CALL_MODES.contains(&it.as_str()));
    if let Some((mode, value)) = mode.zip(node.find(MODEL_CALLS)) {
        let message = format!("`{MODEL_CALLS}` cannot be `{mode}`");
        let help = format!("it is `{}`", MODEL_CALL_MODES.join("`, `"));
        reading.error("pipeline/model-calls", value.place, message, help);
    }
    Some(found)
}

/// With names that are otherwise the engine's own.
fn read_environment(
    node: &Node,
    label: &str,
    ours: &[&str],
    reading: &Reading,
) -> Option<BTreeMap<String, Template>> {
    let entries = mapping(node, label, "such as `env: { LOG_LEVEL: debug }`", reading)?;
    let mut found = BTreeMap::new();
    for entry in entries {
        let is_ours = ours.contains(&entry.key.as_str());
        let is_name = is_ours || check_variable(&entry.key, entry.key_place, reading);
        let value = Loose::read(&entry.value, &format!("`{}`", entry.key), reading);
        let value =
            value.and_then(|it| occurrence::template(&it.0, Use::Field, &entry.value, reading));
        warn_about_itself(entry, reading);
        if let (true, Some(value)) = (is_name, value) {
            found.insert(entry.key.clone(), value);
        }
    }
    Some(found)
}

/// `PATH: /opt/bin:$PATH` looks like a shell's, but no shell reads it.
fn warn_about_itself(entry: &Entry, reading: &Reading) {
    let text = text(&entry.value).unwrap_or_default();
    let name = &entry.key;
    let is_itself = text.split('$').skip(1).any(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        rest.strip_prefix(name.as_str()).is_some_and(|after| !after.starts_with(is_variable_part))
    });
    if is_itself {
        let message = format!("`${name}` is plain text here: no shell reads the values of `env`");
        let help = format!("write `export {name}=…` in the command");
        reading.warn("pipeline/env-value", entry.value.place, message, help);
    }
}

fn is_variable_part(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || sign == '_'
}

/// Whether a word can be an environment variable.
pub(crate) fn is_variable(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && (1..=200).contains(&text.len())
}

/// Checks the name of an environment variable.
pub(crate) fn check_variable(name: &str, place: Place, reading: &Reading) -> bool {
    if !is_variable(name) {
        let message = format!("`{name}` cannot be the name of an environment variable");
        let help = "use letters, digits and `_`, and no digit first";
        reading.error("pipeline/env-name", place, message, help);
        return false;
    }
    if name.starts_with("TRUNKLINE_") {
        let message =
            format!("`{name}`: variables that start with `TRUNKLINE_` are set by the engine");
        let is_of_stage = name == MODEL_CALLS;
        let help =
            if is_of_stage { "write it into `env` of the stage" } else { "choose another name" };
        reading.error("pipeline/env-name", place, message, help);
        return false;
    }
    true
}

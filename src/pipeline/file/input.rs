//! Typed inputs: of a person who starts a pipeline, and of a template that is included.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::fields::{Fields, Read, choice, mapping, wrong_type};
use super::scalar::{self, Plain, loose_list};
use crate::pipeline::reading::{Reading, known_words};
use crate::pipeline::yaml::{Node, Scalar, ScalarKind, Value};

pub(crate) const KEYS: &[&str] = &["type", "default", "required", "description", "options"];

/// The type of an input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// Text.
    #[default]
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// One of `options`.
    Choice,
}

impl InputKind {
    /// The word of the format.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Choice => "choice",
        }
    }
}

/// One input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Input {
    /// Its type.
    pub kind: InputKind,
    /// Its value when none is given.
    pub default: Option<Json>,
    /// Whether a value must be given.
    pub required: bool,
    /// What it is for.
    pub description: Option<String>,
    /// What can be chosen.
    pub options: Vec<String>,
}

impl Input {
    pub(crate) fn default_value(&self) -> Json {
        self.default.clone().unwrap_or_else(|| match self.kind {
            InputKind::String => Json::from(""),
            InputKind::Number => Json::from(0),
            InputKind::Boolean => Json::from(false),
            InputKind::Choice => {
                self.options.first().map_or(Json::from(""), |it| it.as_str().into())
            }
        })
    }

    /// The value as this type; `None` when it does not fit.
    pub(crate) fn accept(&self, scalar: &Scalar) -> Option<Json> {
        match (self.kind, scalar.kind) {
            (InputKind::String, ScalarKind::Null) => None,
            (InputKind::String, _) => Some(scalar.text.as_str().into()),
            (InputKind::Number, ScalarKind::Int(value)) => Some(value.into()),
            (InputKind::Number, ScalarKind::Float(value)) if value.is_finite() => {
                Some(value.into())
            }
            (InputKind::Boolean, ScalarKind::Bool(value)) => Some(value.into()),
            (InputKind::Choice, _) if self.options.contains(&scalar.text) => {
                Some(scalar.text.as_str().into())
            }
            _ => None,
        }
    }

    /// What a value must be, for messages.
    pub(crate) fn expected(&self) -> String {
        match self.kind {
            InputKind::String => "a text".to_owned(),
            InputKind::Number => "a number".to_owned(),
            InputKind::Boolean => "`true` or `false`".to_owned(),
            InputKind::Choice => {
                let options: Vec<_> = self.options.iter().map(|it| format!("`{it}`")).collect();
                format!("one of {}", options.join(", "))
            }
        }
    }
}

/// Reads `inputs:`.
pub(crate) fn read_declared(node: &Node, reading: &Reading) -> Option<BTreeMap<String, Input>> {
    let entries =
        mapping(node, "`inputs`", "such as `inputs: { fast: { type: boolean } }`", reading)?;
    let mut inputs = BTreeMap::new();
    for entry in entries {
        let label = format!("input `{}`", entry.key);
        let is_word = scalar::is_variable(&entry.key) && scalar::is_name(&entry.key);
        if !is_word {
            let message = format!("`{}` cannot be the name of an input", entry.key);
            let help =
                "use lower-case letters, digits and `_`, so that `inputs.name` can be written";
            reading.error("pipeline/name", entry.key_place, message, help);
        }
        if let Some(input) = read_one(&entry.value, &label, reading) {
            inputs.insert(entry.key.clone(), input);
        }
    }
    Some(inputs)
}

fn read_one(node: &Node, label: &str, reading: &Reading) -> Option<Input> {
    const KINDS: &[(&str, InputKind)] = &[
        ("string", InputKind::String),
        ("number", InputKind::Number),
        ("boolean", InputKind::Boolean),
        ("choice", InputKind::Choice),
    ];
    let fields = Fields::of(node, label, KEYS, reading)?;
    let options = fields.find("options").and_then(|it| loose_list(it, "`options`", reading));
    let kind = fields.find("type").and_then(|it| choice(it, "`type`", KINDS, reading));
    let mut input = Input {
        kind: kind.unwrap_or_default(),
        default: None,
        required: fields.read_or("required", false),
        description: fields.read::<Plain>("description").map(|it| it.0),
        options: options.unwrap_or_default(),
    };
    if (input.kind == InputKind::Choice) == input.options.is_empty() {
        let message = format!("{label}: `options` and `type: choice` belong together");
        let help = "write `type: choice` and `options: [a, b]`";
        reading.error("pipeline/input", fields.place, message, help);
        return None;
    }
    if let Some(twice) = first_twice(&input.options) {
        let place = fields.find("options").map_or(fields.place, |it| it.place);
        let message = format!("{label} has the option `{twice}` twice");
        reading.error("pipeline/input", place, message, "remove one of the two");
    }
    if let Some(default) = fields.find("default") {
        let is_flag = input.kind == InputKind::Boolean;
        if is_flag && bool::read(default, "`default`", reading).is_none() {
            return None;
        }
        input.default = scalar::scalar(default).and_then(|it| input.accept(it));
        if input.default.is_none() {
            wrong_type(default, "`default`", &input.expected(), reading, "");
        }
        if input.required {
            let message = format!("{label} is required, so its `default` is never used");
            reading.error("pipeline/input", default.place, message, "remove one of the two");
        }
    }
    Some(input)
}

fn first_twice(words: &[String]) -> Option<&String> {
    words
        .iter()
        .enumerate()
        .find(|(at, word)| words.iter().take(*at).any(|it| it == *word))
        .map(|it| it.1)
}

/// Values of inputs from the words of a person.
pub(crate) fn read_given(
    declared: &BTreeMap<String, Input>,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Json>, Vec<String>> {
    let (mut values, mut wrong) = (BTreeMap::new(), Vec::new());
    for (name, input) in declared {
        match given.get(name) {
            None if input.required => wrong.push(format!("the input `{name}` must be given")),
            None => {
                values.insert(name.clone(), input.default_value());
            }
            Some(text) => match input.accept(&Scalar::from_words(text)) {
                Some(value) => {
                    values.insert(name.clone(), value);
                }
                None => wrong.push(format!(
                    "the input `{name}` must be {}, found `{text}`",
                    input.expected()
                )),
            },
        }
    }
    let known: Vec<&str> = declared.keys().map(String::as_str).collect();
    let unknown = given.keys().filter(|name| !declared.contains_key(*name));
    wrong.extend(
        unknown
            .map(|name| format!("there is no input `{name}`; {}", known_words("inputs", &known))),
    );
    if wrong.is_empty() { Ok(values) } else { Err(wrong) }
}

/// Values for a template's inputs from the `with` of an `include`.
pub(crate) fn read_with(
    declared: &BTreeMap<String, Input>,
    with: Option<&Node>,
    place: crate::pipeline::diagnostic::Place,
    reading: &Reading,
) -> BTreeMap<String, Json> {
    let entries = match with.map(|it| &it.value) {
        Some(Value::Mapping(entries)) => entries.as_slice(),
        Some(Value::Scalar(_) | Value::Sequence(_)) | None => &[],
    };
    let known: Vec<&str> = declared.keys().map(String::as_str).collect();
    let mut values = BTreeMap::new();
    for entry in entries {
        let Some(input) = declared.get(&entry.key) else {
            let message = format!("the included file has no input `{}`", entry.key);
            let help = reading.suggest(&entry.key, "inputs", &known);
            reading.error("pipeline/unknown-input", entry.key_place, message, help);
            continue;
        };
        let value = scalar::scalar(&entry.value).and_then(|it| input.accept(it));
        match value {
            Some(value) => {
                values.insert(entry.key.clone(), value);
            }
            None => wrong_type(
                &entry.value,
                &format!("`{}`", entry.key),
                &input.expected(),
                reading,
                "",
            ),
        }
    }
    for (name, input) in declared {
        if input.required && !entries.iter().any(|it| it.key == *name) {
            let message = format!("the included file requires the input `{name}`");
            let help = format!("add `with: {{ {name}: … }}`");
            reading.error("pipeline/missing-input", place, message, help);
        }
        values.entry(name.clone()).or_insert_with(|| input.default_value());
    }
    values
}

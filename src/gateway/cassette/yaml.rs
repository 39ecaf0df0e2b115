//! YAML of other recorders as plain values: every scalar a text, but `null` and `!!binary`; no aliases. Pure.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// How deep values may lie in each other.
const DEPTH: usize = 64;

/// A list or mapping that is not complete yet.
enum Open {
    List(Vec<Value>),
    Mapping(Map<String, Value>, Option<String>),
}

/// Reads the first document.
pub fn read(text: &str) -> Result<Value, String> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|it| it.to_string())?;
        let done = match event {
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Mapping(Map::new(), None));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items)) => Some(Value::Array(items)),
                Some(Open::Mapping(members, _)) => Some(Value::Object(members)),
                None => None,
            },
            Event::Scalar(text, _, _, Some(tag)) if tag.suffix == "binary" => Some(binary(&text)),
            Event::Scalar(text, style, ..) => Some(scalar(&text, style)),
            Event::Alias(_) => return Err(format!("line {}: an alias", span.start.line())),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => None,
        };
        if open.len() > DEPTH {
            return Err(format!("line {}: too deep", span.start.line()));
        }
        let Some(value) = done else { continue };
        match open.last_mut() {
            None => return Ok(value),
            Some(Open::List(items)) => items.push(value),
            Some(Open::Mapping(members, name)) => match name.take() {
                Some(name) => drop(members.insert(name, value)),
                None => *name = value.as_str().map(str::to_owned),
            },
        }
    }
    Err("there is no document".to_owned())
}

/// Bytes, as vcr.py writes those that are no text: in base64.
fn binary(text: &str) -> Value {
    serde_json::json!({ "base64_string": text })
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style == ScalarStyle::Plain && matches!(text, "" | "~" | "null") {
        return Value::Null;
    }
    Value::from(text)
}

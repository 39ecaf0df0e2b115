//! What a stage with `uses` must have, and must not have, by its built-in.

use serde_json::{Map, Value, json};

use crate::pipeline::file::stage::CONTAINER_KEYS;
use crate::pipeline::file::stage::builtin::{BUILTINS, Builtin, Kind};

/// One rule for each built-in, and one for all that have no container of their own.
pub(super) fn rules() -> Value {
    let refused: Map<String, Value> =
        CONTAINER_KEYS.iter().map(|it| ((*it).to_owned(), Value::Bool(false))).collect();
    let without_container = json!({
        "if": { "anyOf": [{ "required": ["uses"] }, { "required": ["approval"] }] },
        "then": { "properties": refused },
    });
    BUILTINS.iter().map(rule).chain([without_container]).collect()
}

fn rule(builtin: &Builtin) -> Value {
    let name = format!("builtin/{}", builtin.name);
    let mut required: Vec<&str> = Vec::new();
    if !builtin.required.is_empty() {
        required.push("with");
    }
    if matches!(builtin.name, "deploy" | "rollout") {
        required.push("environment");
    }
    let mut properties = json!({ "with": arguments(builtin) });
    if builtin.name == "rollout" {
        required.push("rollout");
    } else {
        insert(&mut properties, "rollout", Value::Bool(false));
    }
    if !builtin.outputs.is_empty() {
        let word = json!({ "enum": builtin.outputs });
        let list = json!({ "type": "array", "items": word });
        insert(&mut properties, "outputs", json!({ "anyOf": [word, list] }));
    }
    json!({
        "if": { "properties": { "uses": { "const": name } }, "required": ["uses"] },
        "then": { "properties": properties, "required": required },
    })
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(entries) = object.as_object_mut() {
        entries.insert(key.to_owned(), value);
    }
}

fn arguments(builtin: &Builtin) -> Value {
    let properties: Map<String, Value> =
        builtin.with.iter().map(|(key, kind)| ((*key).to_owned(), argument(*kind))).collect();
    let required: Vec<&str> = builtin.required.iter().map(|(key, _)| *key).collect();
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "required": required,
    })
}

fn argument(kind: Kind) -> Value {
    let loose = json!({ "type": ["string", "number", "boolean"] });
    match kind {
        Kind::Text | Kind::Word => json!({ "type": ["string", "number"] }),
        Kind::Path | Kind::Duration | Kind::Rate => json!({ "type": "string" }),
        Kind::Count => json!({ "type": "integer", "minimum": 1 }),
        Kind::Number => json!({ "type": "number", "minimum": 0 }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Texts | Kind::Tags => json!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        }),
        Kind::Map => json!({ "type": "object", "additionalProperties": loose }),
        Kind::Choice(words) => json!({ "enum": words }),
    }
}

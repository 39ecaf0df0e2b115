//! The JSON schema of the file format, for editors. Made from types that mirror the readers in
//! `file`; a test holds the keys of both together.

use serde_json::Value;

mod builtin;
mod pipeline;
mod stage;
mod word;

#[cfg(test)]
mod tests;

/// The JSON schema (draft 2020-12) of a pipeline file.
pub fn schema() -> Value {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<pipeline::PipelineFile>();
    let mut value = schema.to_value();
    refuse_null(&mut value);
    value
}

/// A key that may be left out is not one that may be empty: takes the `null` of optional fields away.
fn refuse_null(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            for key in ["anyOf", "type"] {
                let Some(Value::Array(choices)) = entries.get_mut(key) else { continue };
                choices.retain(|it| *it != "null" && it.get("type").is_none_or(|it| it != "null"));
                let only = if choices.len() == 1 { choices.pop() } else { None };
                match (key, only) {
                    ("type", Some(only)) => drop(entries.insert(key.to_owned(), only)),
                    (_, Some(Value::Object(only))) => {
                        entries.remove(key);
                        entries.extend(only);
                    }
                    _ => {}
                }
            }
            entries.values_mut().for_each(refuse_null);
        }
        Value::Array(items) => items.iter_mut().for_each(refuse_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

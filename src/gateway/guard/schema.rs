//! Whether an answer is the JSON that was asked for. Schemas are never fetched from anywhere. Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::provider::Operation;

/// The longest explanation that the model is given.
const EXPLANATION_LETTERS: usize = 600;

/// A schema, ready to be used.
#[derive(Debug)]
pub struct Schema {
    validator: jsonschema::Validator,
}

impl Schema {
    /// From a text.
    pub fn read(text: &str) -> Result<Self, String> {
        let value = serde_json::from_str(text).map_err(|it| format!("no JSON: {it}"))?;
        Self::new(&value)
    }

    /// From JSON.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let validator = jsonschema::validator_for(schema).map_err(|it| it.to_string())?;
        Ok(Self { validator })
    }

    /// What is wrong with a text, in words for the model; the first of several.
    pub fn check(&self, text: &str) -> Result<(), String> {
        let value: Value =
            serde_json::from_str(text).map_err(|it| format!("it is not JSON: {it}"))?;
        let Some(error) = self.validator.iter_errors(&value).next() else { return Ok(()) };
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { "the whole".to_owned() } else { format!("`{place}`") };
        Err(format!("at {place}: {error}").chars().take(EXPLANATION_LETTERS).collect())
    }
}

/// The schema that a request asks for.
#[must_use]
pub fn of_request(request: &Value) -> Option<Arc<Schema>> {
    let schema = request
        .pointer("/response_format/json_schema/schema")
        .or_else(|| request.pointer("/text/format/schema"))
        .or_else(|| request.pointer("/output_format/schema"))
        .or_else(|| request.pointer("/output_config/format/schema"))?;
    Schema::new(schema).ok().map(Arc::new)
}

/// The texts of an answer that have to fit: none of one that calls a tool or refuses.
#[must_use]
pub fn texts_of(operation: Operation, answer: &Value) -> Vec<String> {
    let list = |it: Option<&Value>| it.and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |it: &Value, name: &str| it.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    match operation {
        Operation::ChatCompletions => {
            let choices = list(answer.get("choices"));
            choices.iter().filter_map(|it| text(it.get("message")?, "content")).collect()
        }
        Operation::Messages => {
            let parts = list(answer.get("content"));
            let calls_tool =
                parts.iter().any(|it| it.get("type").is_some_and(|it| it == "tool_use"));
            let said: String = parts.iter().filter_map(|it| text(it, "text")).collect();
            if calls_tool { Vec::new() } else { vec![said] }
        }
        Operation::Responses => {
            let items = list(answer.get("output"));
            let contents = items.iter().flat_map(|it| list(it.get("content")));
            contents.filter_map(|it| text(&it, "text")).collect()
        }
        Operation::Completions
        | Operation::Embeddings
        | Operation::Moderations
        | Operation::CountTokens => Vec::new(),
    }
}

/// The request that asks once more, with the answer that does not fit and what is wrong with it;
/// `None` for kinds of calls that have no turns.
#[must_use]
pub fn repair(operation: Operation, request: &str, answer: &str, wrong: &str) -> Option<String> {
    if !matches!(operation, Operation::ChatCompletions | Operation::Messages) {
        return None;
    }
    let mut request: Value = serde_json::from_str(request).ok()?;
    let messages = request.get_mut("messages")?.as_array_mut()?;
    let again = format!(
        "That answer does not fit the schema: {wrong}. Answer again, with nothing but JSON that fits."
    );
    let answer = if answer.is_empty() { "(nothing)" } else { answer };
    messages.push(json!({"role": "assistant", "content": answer}));
    messages.push(json!({"role": "user", "content": again}));
    Some(request.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_fits_or_what_is_wrong_is_said() {
        let schema = Schema::read(
            r#"{"type":"object","properties":{"age":{"type":"integer"}},"required":["age"]}"#,
        )
        .unwrap();
        assert_eq!(schema.check(r#" {"age": 7}"#), Ok(()));
        assert!(schema.check("age 7").unwrap_err().starts_with("it is not JSON"));
        assert_eq!(
            schema.check(r#"{"age":"x"}"#).unwrap_err(),
            "at `/age`: \"x\" is not of type \"integer\""
        );
        assert!(Schema::read(r#"{"type":"nonsense"}"#).is_err());
        assert!(Schema::read(r#"{"$ref":"http://127.0.0.1:1/schema.json"}"#).is_err());
    }

    #[test]
    fn the_schema_of_a_request_is_found_in_both_formats() {
        let of = |it: Value| of_request(&it).is_some();
        let schema = json!({"type": "object"});
        assert!(of(
            json!({"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}})
        ));
        assert!(of(json!({"text": {"format": {"type": "json_schema", "schema": schema}}})));
        assert!(!of(json!({"response_format": {"type": "json_object"}})));
    }

    #[test]
    fn the_second_request_has_the_answer_and_what_is_wrong() {
        let request = r#"{"model":"m","messages":[{"role":"user","content":"q"}]}"#;
        let again = repair(Operation::Messages, request, "{}", "no age").unwrap();
        let again: Value = serde_json::from_str(&again).unwrap();
        assert_eq!(again["messages"][1]["content"], "{}");
        assert!(again["messages"][2]["content"].as_str().unwrap().contains("no age"));
        assert_eq!(repair(Operation::Completions, request, "", ""), None);
    }
}

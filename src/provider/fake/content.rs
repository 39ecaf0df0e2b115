//! What the fake answers with: words, what a schema asks for, or a call of a tool. Pure.

use serde_json::{Map, Value};

const WORDS: [&str; 8] = ["alpha", "beta", "gamma", "delta", "omega", "sigma", "kappa", "theta"];
/// Letters of a piece of JSON.
const PIECE: usize = 8;
/// How deep schemas are followed.
const DEPTH: u32 = 16;

/// The content of one answer, in the pieces that a stream has it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A text.
    Text(Vec<String>),
    /// A call of a tool, with its arguments.
    Call { tool: String, pieces: Vec<String> },
}

impl Content {
    /// For a request of any format, with at most so many words.
    pub(crate) fn of(request: &Value, body: &[u8], words: u64) -> Self {
        if let Some((tool, schema)) = tool(request) {
            let pieces = pieces(&instance(&schema, &schema, DEPTH).to_string());
            return Self::Call { tool, pieces };
        }
        if let Some(schema) = schema(request) {
            return Self::Text(pieces(&instance(schema, schema, DEPTH).to_string()));
        }
        let seed = body.iter().fold(7_usize, |sum, it| sum.wrapping_mul(31) + usize::from(*it));
        let word = |index: u64| {
            let index = seed.wrapping_add(usize::try_from(index).unwrap_or_default() * 5);
            format!("{} ", WORDS.get(index % WORDS.len()).copied().unwrap_or_default())
        };
        Self::Text((0..words).map(word).collect())
    }

    pub(crate) fn pieces(&self) -> &[String] {
        match self {
            Self::Text(pieces) | Self::Call { pieces, .. } => pieces,
        }
    }

    pub(crate) fn whole(&self) -> String {
        self.pieces().concat().trim_end().to_owned()
    }
}

/// The first tool, with the schema of its arguments, unless its result is already there.
fn tool(request: &Value) -> Option<(String, Value)> {
    let tool = request.get("tools")?.as_array()?.first()?;
    let talk = request.get("messages").or_else(|| request.get("input"))?;
    let results =
        [r#""role":"tool""#, r#""type":"tool_result""#, r#""type":"function_call_output""#];
    let talk = talk.to_string();
    if results.iter().any(|it| talk.contains(it)) {
        return None;
    }
    let tool = tool.get("function").unwrap_or(tool);
    let schema = tool.get("parameters").or_else(|| tool.get("input_schema"));
    let name = tool.get("name")?.as_str()?.to_owned();
    Some((name, schema.cloned().unwrap_or_default()))
}

/// The schema that the answer is to have.
fn schema(request: &Value) -> Option<&Value> {
    let places = ["/response_format/json_schema", "/text/format", "/output_config/format"];
    places.iter().find_map(|it| request.pointer(it)?.get("schema"))
}

/// The smallest value that a schema asks for.
fn instance(schema: &Value, root: &Value, depth: u32) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    let inner = |it: &Value| instance(it, root, depth - 1);
    if let Some(place) = schema.get("$ref").and_then(Value::as_str) {
        let found = place.strip_prefix('#').and_then(|it| root.pointer(it));
        return found.map_or(Value::Null, inner);
    }
    if let Some(value) = schema.get("const").or_else(|| schema.pointer("/enum/0")) {
        return value.clone();
    }
    if let Some(first) =
        ["/anyOf/0", "/oneOf/0", "/allOf/0"].iter().find_map(|it| schema.pointer(it))
    {
        return inner(first);
    }
    match schema.get("type").and_then(Value::as_str).unwrap_or("object") {
        "string" => Value::from("alpha"),
        "integer" => Value::from(1),
        "number" => Value::from(0.5),
        "boolean" => Value::from(true),
        "null" => Value::Null,
        "array" => Value::from(schema.get("items").map(inner).into_iter().collect::<Vec<_>>()),
        _ => {
            let members = schema.get("properties").and_then(Value::as_object);
            let members = members.into_iter().flatten().map(|it| (it.0.clone(), inner(it.1)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

fn pieces(json: &str) -> Vec<String> {
    let letters: Vec<_> = json.chars().collect();
    letters.chunks(PIECE).map(|it| it.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_tool_is_called_with_what_its_schema_asks_for_until_its_result_is_there() {
        let tools = json!([{"type": "function", "function": {"name": "find", "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}, "days": {"$ref": "#/$defs/d"}},
            "$defs": {"d": {"type": "integer"}}}}}]);
        let asked = json!({"tools": tools, "messages": [{"role": "user", "content": "?"}]});
        let call = Content::of(&asked, b"", 5);
        assert!(matches!(&call, Content::Call { tool, .. } if tool == "find"), "{call:?}");
        assert_eq!(call.whole(), r#"{"city":"alpha","days":1}"#);
        let asked = json!({"tools": tools, "messages": [{"role": "tool", "content": "20"}]});
        assert!(matches!(Content::of(&asked, b"", 5), Content::Text(it) if it.len() == 5));
    }

    #[test]
    fn an_answer_has_the_schema_that_was_asked_for() {
        let schema = json!({"type": "object", "properties": {"kind": {"enum": ["a", "b"]},
            "parts": {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}}}});
        let asked =
            json!({"text": {"format": {"type": "json_schema", "schema": schema}}, "input": "?"});
        assert_eq!(Content::of(&asked, b"", 5).whole(), r#"{"kind":"a","parts":[0.5]}"#);
    }
}

//! What was asked and answered, in the form that OpenTelemetry has for it
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>, messages of parts): without what is no text.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What each part counts besides its text.
const PART_BYTES: usize = 32;
/// Letters of a role, or of a tool's name, that somebody else has told.
const NAME_LETTERS: usize = 100;

/// What was said in a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// What was asked: the last messages.
    pub input: Vec<Message>,
    /// What was answered.
    pub output: Vec<Message>,
    /// Whether it was more.
    #[serde(skip)]
    pub is_cut: bool,
}

/// What one side said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`.
    pub role: String,
    /// What it said.
    pub parts: Vec<Part>,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// A text.
    Text {
        /// It.
        content: String,
    },
    /// A tool that is asked for.
    ToolCall {
        /// The id of this call of it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        id: String,
        /// The tool's name.
        name: String,
        /// JSON.
        arguments: String,
    },
    /// What a tool has given.
    ToolCallResponse {
        /// The id of the call.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        id: String,
        /// What it gave.
        response: String,
    },
    /// Something that is no text, and is not kept.
    Other {
        /// What it was.
        kind: String,
    },
}

impl Part {
    fn text(&mut self) -> &mut String {
        match self {
            Self::Text { content: text }
            | Self::ToolCall { arguments: text, .. }
            | Self::ToolCallResponse { response: text, .. }
            | Self::Other { kind: text } => text,
        }
    }
}

impl Content {
    /// What a request asks.
    #[must_use]
    pub fn of_request(request: &Value) -> Self {
        let mut input = Vec::new();
        for name in ["system", "instructions"] {
            input.extend(request.get(name).and_then(|it| message("system", it)));
        }
        for name in ["messages", "input", "prompt"] {
            match request.get(name) {
                Some(Value::Array(items)) => input.extend(items.iter().filter_map(of_item)),
                Some(it) => input.extend(message("user", it)),
                None => {}
            }
        }
        Self { input, ..Self::default() }
    }

    /// With each text as `scrub` gives it.
    #[must_use]
    pub fn scrubbed(mut self, scrub: &dyn Fn(&str) -> String) -> Self {
        for message in self.input.iter_mut().chain(&mut self.output) {
            for part in &mut message.parts {
                let text = part.text();
                *text = scrub(text);
            }
        }
        self
    }

    /// The last so many bytes of messages that were asked, and the first so many of the answer.
    #[must_use]
    pub fn cut(mut self, bytes: usize) -> Self {
        let mut left = bytes;
        for message in self.input.iter_mut().rev() {
            self.is_cut |= cut(message, &mut left);
        }
        self.input.retain(|it| !it.parts.is_empty());
        left = bytes;
        for message in &mut self.output {
            self.is_cut |= cut(message, &mut left);
        }
        self.output.retain(|it| !it.parts.is_empty());
        self
    }
}

/// Whether something went.
fn cut(message: &mut Message, left: &mut usize) -> bool {
    let mut is_cut = false;
    message.parts.retain_mut(|part| {
        if *left == 0 {
            is_cut = true;
            return false;
        }
        let text = part.text();
        if text.len() > *left {
            text.truncate(text.floor_char_boundary(*left));
            text.push('…');
            is_cut = true;
        }
        *left = left.saturating_sub(text.len() + PART_BYTES);
        true
    });
    is_cut
}

/// What an answer that came whole says.
#[must_use]
pub fn of_answer(answer: &Value) -> Vec<Message> {
    let list = |name: &str| answer.get(name).and_then(Value::as_array);
    if let Some(choices) = list("choices") {
        let said = choices.iter().filter_map(|it| {
            it.get("message").and_then(of_item).or_else(|| message("assistant", it.get("text")?))
        });
        return said.collect();
    }
    if let Some(items) = list("output") {
        return items.iter().filter_map(of_item).collect();
    }
    answer.get("content").and_then(|it| message("assistant", it)).into_iter().collect()
}

/// Messages as OpenTelemetry has them, which is how they are kept here; other forms are told as they are.
#[must_use]
pub fn of_telemetry(messages: &Value) -> Vec<Message> {
    let of_message = |it: &Value| {
        let Some(parts) = it.get("parts").and_then(Value::as_array) else { return of_item(it) };
        let role = it.get("role").and_then(Value::as_str).unwrap_or("user");
        let parts: Vec<_> = parts.iter().filter_map(telemetry_part).collect();
        (!parts.is_empty()).then(|| Message { role: shortened(role), parts })
    };
    messages.as_array().into_iter().flatten().filter_map(of_message).collect()
}

/// A part of such a message, or of instructions.
#[must_use]
pub fn telemetry_part(part: &Value) -> Option<Part> {
    let get = |name: &str| part.get(name).map(said).unwrap_or_default();
    let kind = part.get("type")?.as_str()?;
    Some(match kind {
        "text" | "reasoning" => Part::Text { content: get("content") },
        "tool_call" => Part::ToolCall {
            id: shortened(&get("id")),
            name: shortened(&get("name")),
            arguments: get("arguments"),
        },
        "tool_call_response" => {
            let response = part.get("response").or_else(|| part.get("result"));
            Part::ToolCallResponse {
                id: shortened(&get("id")),
                response: response.map(said).unwrap_or_default(),
            }
        }
        other => Part::Other { kind: shortened(other) },
    })
}

/// Names are shorter than this.
fn shortened(name: &str) -> String {
    name.chars().filter(|it| !it.is_control()).take(NAME_LETTERS).collect()
}

/// A message of a list, or an item of one that is no message.
fn of_item(item: &Value) -> Option<Message> {
    let text = |name: &str| item.get(name).and_then(Value::as_str);
    let kind = text("type").unwrap_or_default();
    let role = text("role").unwrap_or(match kind {
        "function_call" | "reasoning" => "assistant",
        "function_call_output" => "tool",
        _ => "user",
    });
    let mut parts = Vec::new();
    match (item, text("tool_call_id")) {
        (Value::String(it), _) => parts.push(Part::Text { content: it.clone() }),
        (_, Some(id)) => parts.push(Part::ToolCallResponse {
            id: id.to_owned(),
            response: item.get("content").map(said).unwrap_or_default(),
        }),
        _ if item.get("content").is_some() => {
            parts.extend(item.get("content").map(parts_of).unwrap_or_default());
        }
        _ if item.get("role").is_none() => parts.extend(part(item)),
        _ => {}
    }
    let calls = item.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    parts.extend(calls.map(|it| Part::ToolCall {
        id: it.get("id").map(said).unwrap_or_default(),
        name: it.pointer("/function/name").map(said).unwrap_or_default(),
        arguments: it.pointer("/function/arguments").map(said).unwrap_or_default(),
    }));
    parts.extend(text("refusal").map(|it| Part::Text { content: it.to_owned() }));
    (!parts.is_empty()).then(|| Message { role: role.to_owned(), parts })
}

fn message(role: &str, content: &Value) -> Option<Message> {
    let parts = parts_of(content);
    (!parts.is_empty()).then(|| Message { role: role.to_owned(), parts })
}

fn parts_of(content: &Value) -> Vec<Part> {
    match content {
        Value::String(text) => vec![Part::Text { content: text.clone() }],
        Value::Array(items) => items.iter().filter_map(part).collect(),
        Value::Object(_) => part(content).into_iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn part(item: &Value) -> Option<Part> {
    let get = |name: &str| item.get(name).map(said).unwrap_or_default();
    if let Value::String(text) = item {
        return Some(Part::Text { content: text.clone() });
    }
    let kind = item.get("type")?.as_str()?;
    Some(match kind {
        "text" | "input_text" | "output_text" => Part::Text { content: get("text") },
        "thinking" => Part::Text { content: get("thinking") },
        "refusal" => Part::Text { content: get("refusal") },
        "tool_use" => Part::ToolCall { id: get("id"), name: get("name"), arguments: get("input") },
        "function_call" => {
            Part::ToolCall { id: get("call_id"), name: get("name"), arguments: get("arguments") }
        }
        "tool_result" => {
            Part::ToolCallResponse { id: get("tool_use_id"), response: get("content") }
        }
        "function_call_output" => {
            Part::ToolCallResponse { id: get("call_id"), response: get("output") }
        }
        _ => Part::Other { kind: kind.to_owned() },
    })
}

/// A text as it is, several texts one after the other, and anything else as JSON.
fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|it| it.get("text").is_some()) => {
            items.iter().filter_map(|it| it.get("text")?.as_str()).collect::<Vec<_>>().join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(request: &str, answer: &str) -> Content {
        let mut content = Content::of_request(&serde_json::from_str(request).unwrap());
        content.output = of_answer(&serde_json::from_str(answer).unwrap());
        content
    }

    fn drawn(content: &Content) -> String {
        let line = |way: &str, it: &Message| {
            let parts: Vec<_> =
                it.parts.iter().map(|it| serde_json::to_string(it).unwrap()).collect();
            format!("{way} {}: {}\n", it.role, parts.join(" "))
        };
        let input: String = content.input.iter().map(|it| line(">", it)).collect();
        input + &content.output.iter().map(|it| line("<", it)).collect::<String>()
    }

    #[test]
    fn chats_messages_and_responses_are_told_in_one_form() {
        let chat = read(
            r#"{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":[
                {"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:"}}]},
                {"role":"assistant","tool_calls":[{"id":"t1","function":{"name":"look","arguments":"{}"}}]},
                {"role":"tool","tool_call_id":"t1","content":"a cat"}]}"#,
            r#"{"choices":[{"message":{"role":"assistant","content":"A cat."}}]}"#,
        );
        insta::assert_snapshot!(drawn(&chat), @r#"
        > system: {"type":"text","content":"Be kind."}
        > user: {"type":"text","content":"What is this?"} {"type":"other","kind":"image_url"}
        > assistant: {"type":"tool_call","id":"t1","name":"look","arguments":"{}"}
        > tool: {"type":"tool_call_response","id":"t1","response":"a cat"}
        < assistant: {"type":"text","content":"A cat."}
        "#);
        let message = read(
            r#"{"system":"Be kind.","messages":[{"role":"user","content":[
                {"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"a cat"}]}]}]}"#,
            r#"{"content":[{"type":"text","text":"A cat."},{"type":"tool_use","id":"t2","name":"look","input":{"a":1}}]}"#,
        );
        insta::assert_snapshot!(drawn(&message), @r#"
        > system: {"type":"text","content":"Be kind."}
        > user: {"type":"tool_call_response","id":"t1","response":"a cat"}
        < assistant: {"type":"text","content":"A cat."} {"type":"tool_call","id":"t2","name":"look","arguments":"{\"a\":1}"}
        "#);
        let response = read(
            r#"{"instructions":"Be kind.","input":[{"role":"user","content":"Hi"},
                {"type":"function_call_output","call_id":"t1","output":"a cat"}]}"#,
            r#"{"output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello"}]},
                {"type":"function_call","call_id":"t2","name":"look","arguments":"{}"}]}"#,
        );
        insta::assert_snapshot!(drawn(&response), @r#"
        > system: {"type":"text","content":"Be kind."}
        > user: {"type":"text","content":"Hi"}
        > tool: {"type":"tool_call_response","id":"t1","response":"a cat"}
        < assistant: {"type":"text","content":"Hello"}
        < assistant: {"type":"tool_call","id":"t2","name":"look","arguments":"{}"}
        "#);
    }

    #[test]
    fn the_last_that_was_asked_and_the_first_that_was_answered_stays() {
        let content = read(
            r#"{"messages":[{"role":"user","content":"an old question"},{"role":"user","content":"nöw"}]}"#,
            r#"{"choices":[{"message":{"role":"assistant","content":"0123456789"}}]}"#,
        );
        let cut = content.clone().cut(3);
        assert!(cut.is_cut);
        insta::assert_snapshot!(drawn(&cut), @r#"
        > user: {"type":"text","content":"nö…"}
        < assistant: {"type":"text","content":"012…"}
        "#);
        let whole = content.clone().cut(1_000);
        assert!(whole == content && !whole.is_cut);
    }
}

//! What a request is in tokens: its texts exactly, and what is put around messages and tools: as `OpenAI`'s cookbook counts
//! it ("How to count tokens with tiktoken", read 2026-11), or as its format `harmony` writes it (github.com/openai/harmony,
//! read 2026-11). Pure.

use std::fmt::Write as _;

use serde_json::Value;

use super::Tokenizer;
use crate::provider::{Operation, estimate};

/// Around a message, besides its role and its texts.
const MESSAGE: u64 = 3;
/// Around the name of who speaks.
const NAME: u64 = 1;
/// Before the answer.
const ANSWER: u64 = 3;
/// The same of `harmony`; the channel of an answer; what stands around an answer and each call of a tool, and around all
/// tools, as recorded calls of `gpt-5-nano` tell it.
const HARMONY_ANSWER: u64 = 2;
const CHANNEL: u64 = 2;
const AROUND: u64 = 9;
const CALL: u64 = 7;
const HARMONY_TOOLS: u64 = 85;
/// Around a tool, before the members of its arguments, around each of them, and behind all tools.
const TOOL: u64 = 7;
const MEMBERS: u64 = 3;
const MEMBER: u64 = 3;
const CHOICE: u64 = 3;
const TOOLS: u64 = 12;

/// The tokens of a prompt; `None` where it is not understood.
#[must_use]
pub fn of_request(tokenizer: Tokenizer, operation: Operation, body: &[u8]) -> Option<u64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let prompt = Prompt { tokenizer };
    let answer = if prompt.is_harmony() { HARMONY_ANSWER } else { ANSWER };
    Some(match operation {
        Operation::ChatCompletions => {
            let messages = body.get("messages")?.as_array()?;
            let messages: u64 = messages.iter().map(|it| prompt.message(it)).sum();
            let functions = body.get("functions").and_then(Value::as_array);
            messages
                + answer
                + prompt.tools(&body)
                + prompt.tools_in(functions)
                + prompt.format(body.pointer("/response_format/json_schema"))
        }
        Operation::Responses => {
            let instructions = body.get("instructions").filter(|it| it.is_string());
            let instructions = instructions.map_or(0, |it| MESSAGE + 1 + prompt.value(it));
            let input = body.get("input")?;
            let input = match input.as_array() {
                Some(items) => items.iter().map(|it| prompt.message(it)).sum(),
                None => MESSAGE + 1 + prompt.value(input),
            };
            instructions
                + input
                + answer
                + prompt.tools(&body)
                + prompt.format(body.pointer("/text/format/schema"))
        }
        Operation::Completions => prompt.texts(body.get("prompt")?),
        Operation::Embeddings => prompt.texts(body.get("input")?),
        Operation::Moderations | Operation::Messages | Operation::CountTokens => return None,
    })
}

/// The tokens of what an answer says: its texts and the arguments of tools. `None` where it is not understood.
#[must_use]
pub fn of_answer(tokenizer: Tokenizer, answer: &[u8]) -> Option<u64> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let prompt = Prompt { tokenizer };
    let list = |name: &str| answer.get(name).and_then(Value::as_array);
    if let Some(choices) = list("choices") {
        let text = |it: &Value| it.get("text").map_or(0, |it| prompt.value(it));
        return Some(choices.iter().map(|it| text(it) + prompt.said(it.get("message"))).sum());
    }
    if let Some(items) = list("output") {
        return Some(items.iter().map(|it| prompt.said(Some(it))).sum());
    }
    // Of a message of Anthropic: texts, thoughts, and what tools are called with.
    let part = |it: &Value| {
        let texts =
            ["text", "thinking", "name"].into_iter().filter_map(|name| it.get(name)?.as_str());
        let input = it.get("input").map_or(0, |it| prompt.text(&it.to_string()));
        texts.map(|it| prompt.text(it)).sum::<u64>() + input
    };
    Some(list("content")?.iter().map(part).sum())
}

/// What is around the answer of a stream.
#[must_use]
pub fn around(tokenizer: Tokenizer) -> u64 {
    if tokenizer == Tokenizer::O200kHarmony { AROUND } else { 0 }
}

struct Prompt {
    tokenizer: Tokenizer,
}

impl Prompt {
    fn is_harmony(&self) -> bool {
        self.tokenizer == Tokenizer::O200kHarmony
    }

    fn text(&self, text: &str) -> u64 {
        self.tokenizer.count(text)
    }

    fn message(&self, message: &Value) -> u64 {
        let name =
            message.get("name").and_then(Value::as_str).filter(|_| message.get("role").is_some());
        let name = name.map_or(0, |it| NAME + self.text(it));
        let role = message.get("role").and_then(Value::as_str).map_or(0, |it| self.text(it));
        let content = message.get("content").map_or(0, |it| self.value(it));
        let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
        let calls: u64 =
            calls.map(|it| MESSAGE + self.call(it.get("function").unwrap_or(it))).sum();
        // An item of a response that is no message.
        let item = if message.get("role").is_none() { self.call(message) } else { 0 };
        let is_answer = message.get("role").is_some_and(|it| it == "assistant");
        let channel = if is_answer && self.is_harmony() { CHANNEL } else { 0 };
        MESSAGE + name + role + channel + content + calls + item
    }

    /// What a message of an answer says, or an item of a response.
    fn said(&self, message: Option<&Value>) -> u64 {
        let Some(message) = message else { return 0 };
        let texts = ["content", "refusal", "reasoning_content"].into_iter();
        let texts: u64 = texts.filter_map(|it| message.get(it)).map(|it| self.value(it)).sum();
        let around = around(self.tokenizer);
        let each = if around > 0 { CALL } else { 0 };
        let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
        let calls: u64 = calls.map(|it| each + self.call(it.get("function").unwrap_or(it))).sum();
        around + texts + calls + self.call(message)
    }

    /// A call of a tool, or what it gave.
    fn call(&self, call: &Value) -> u64 {
        let parts = ["name", "arguments", "output", "input"].into_iter();
        parts.filter_map(|it| call.get(it)).map(|it| self.value(it)).sum()
    }

    /// A text, or parts of which some are no text.
    fn value(&self, value: &Value) -> u64 {
        if let Some(text) = value.as_str() {
            self.text(text)
        } else if let Some(parts) = value.as_array() {
            parts.iter().map(|it| self.part(it)).sum()
        } else if value.is_null() {
            0
        } else {
            estimate::of_json(value.to_string().as_bytes())
        }
    }

    fn part(&self, part: &Value) -> u64 {
        let text = part.get("text").or_else(|| part.get("refusal")).and_then(Value::as_str);
        match text.or_else(|| part.as_str()) {
            Some(text) => self.text(text),
            None => estimate::of_json(part.to_string().as_bytes()),
        }
    }

    /// Texts that nothing is put around, or what they are in tokens already.
    fn texts(&self, value: &Value) -> u64 {
        let part = |it: &Value| if it.is_number() { 1 } else { self.texts(it) };
        match value.as_array() {
            Some(list) => list.iter().map(part).sum(),
            None => self.value(value),
        }
    }

    fn tools(&self, body: &Value) -> u64 {
        self.tools_in(body.get("tools").and_then(Value::as_array))
    }

    fn tools_in(&self, tools: Option<&Vec<Value>>) -> u64 {
        let Some(tools) = tools.filter(|it| !it.is_empty()) else { return 0 };
        let tools: Vec<_> = tools.iter().map(|it| it.get("function").unwrap_or(it)).collect();
        if self.is_harmony() {
            return HARMONY_TOOLS + self.text(&harmony(&tools));
        }
        TOOLS + tools.iter().map(|it| self.tool(it)).sum::<u64>()
    }

    fn tool(&self, tool: &Value) -> u64 {
        let described = |it| word(it, "description").trim_end_matches('.');
        let mut tokens = TOOL + self.text(&format!("{}:{}", word(tool, "name"), described(tool)));
        let members = tool.pointer("/parameters/properties").and_then(Value::as_object);
        let Some(members) = members.filter(|it| !it.is_empty()) else { return tokens };
        tokens += MEMBERS;
        for (name, member) in members {
            let line = format!("{name}:{}:{}", word(member, "type"), described(member));
            let choices = member.get("enum").and_then(Value::as_array);
            let choice = |it: &Value| CHOICE + it.as_str().map_or(1, |it| self.text(it));
            let choices = choices.map_or(0, |it| it.iter().map(choice).sum::<u64>());
            tokens += (MEMBER + choices).saturating_sub(if choices > 0 { CHOICE } else { 0 })
                + self.text(&line);
            // What lies deeper is not told anywhere: by its text.
            for deeper in
                ["properties", "items", "anyOf"].into_iter().filter_map(|it| member.get(it))
            {
                tokens += self.text(&deeper.to_string());
            }
        }
        tokens
    }

    /// The schema of an answer.
    fn format(&self, schema: Option<&Value>) -> u64 {
        schema.map_or(0, |it| self.text(&it.to_string()))
    }
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Tools as `harmony` writes them: types of a language, with what they are for above them.
fn harmony(tools: &[&Value]) -> String {
    let mut out = "# Tools\n\n## functions\n\nnamespace functions {\n\n".to_owned();
    for tool in tools {
        remark(&mut out, tool);
        let arguments = tool.get("parameters").filter(|it| it.get("properties").is_some());
        let arguments = arguments.map(|it| format!("_: {}", type_of(it, 8))).unwrap_or_default();
        let _ = write!(out, "type {} = ({arguments}) => any;\n\n", word(tool, "name"));
    }
    out.push_str("} // namespace functions");
    out
}

fn remark(out: &mut String, value: &Value) {
    for line in word(value, "description").lines() {
        let _ = writeln!(out, "// {line}");
    }
}

fn type_of(schema: &Value, depth: u32) -> String {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        return choices.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    }
    let members = schema.get("properties").and_then(Value::as_object);
    if let (Some(members), 1..) = (members, depth) {
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|it| it.iter().any(|it| it == name));
        let mut out = "{\n".to_owned();
        for (name, member) in members {
            remark(&mut out, member);
            let optional = if is_required(name) { "" } else { "?" };
            let _ = writeln!(out, "{name}{optional}: {},", type_of(member, depth - 1));
        }
        out.push('}');
        return out;
    }
    match (schema.get("items"), depth) {
        (Some(items), 1..) => format!("{}[]", type_of(items, depth - 1)),
        _ if word(schema, "type").is_empty() => "any".to_owned(),
        _ => word(schema, "type").replace("integer", "number"),
    }
}

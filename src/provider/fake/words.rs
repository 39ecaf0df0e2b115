//! Whole answers of the fake, in both wire formats, with what they used. Pure.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::content::Content;
use super::orders::Orders;
use crate::provider::{Asked, Dialect, Operation};

/// Numbers of an embedding.
const DIMENSIONS: u8 = 8;

/// One answer.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug)]
pub(crate) struct Said<'a> {
    pub(super) operation: Operation,
    pub(super) model: &'a str,
    pub(super) wants_usage: bool,
    pub(super) content: Content,
    pub(super) malformed: Option<u64>,
    pub(super) has_usage: bool,
    pub(super) has_end: bool,
    inputs: Vec<Value>,
    is_base64: bool,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

impl<'a> Said<'a> {
    pub(crate) fn new(
        operation: Operation,
        asked: &'a Asked<'_>,
        body: &[u8],
        orders: &Orders,
    ) -> Self {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let words = orders.chunks.min(asked.max_output.unwrap_or(u64::MAX));
        let has_words = operation.has_output();
        let inputs = match request.get("input") {
            Some(Value::Array(list)) if list.iter().any(|it| !it.is_number()) => list.clone(),
            other => vec![other.cloned().unwrap_or_default()],
        };
        let content = Content::of(&request, body, if has_words { words } else { 0 });
        let output_tokens = if has_words { content.pieces().len() as u64 } else { 0 };
        Self {
            operation,
            model: &asked.model,
            wants_usage: asked.wants_usage,
            content,
            malformed: orders.malformed,
            has_usage: orders.has_usage,
            has_end: orders.has_end,
            inputs,
            is_base64: request.get("encoding_format").is_some_and(|it| it == "base64"),
            input_tokens: if operation.is_free() { 0 } else { body.len() as u64 / 8 + 1 },
            output_tokens,
        }
    }

    /// The answer as a whole.
    pub(crate) fn whole(&self) -> String {
        let text = self.content.whole();
        let mut answer = match self.operation {
            Operation::ChatCompletions => json!({
                "id": "chatcmpl-fake", "object": "chat.completion", "created": 1, "model": self.model,
                "choices": [{"index": 0, "message": self.chat_message(&text), "finish_reason": self.finish(), "logprobs": null}],
            }),
            Operation::Completions => json!({
                "id": "cmpl-fake", "object": "text_completion", "created": 1, "model": self.model,
                "choices": [{"index": 0, "text": text, "finish_reason": "stop", "logprobs": null}],
            }),
            Operation::Responses => {
                self.response("completed", &json!([self.item(&text, "completed")]))
            }
            Operation::Embeddings => json!({
                "object": "list", "model": self.model,
                "data": self.inputs.iter().enumerate().map(|it| self.embedding(it)).collect::<Vec<_>>(),
            }),
            Operation::Moderations => json!({
                "id": "modr-fake", "model": self.model, "results": [{"flagged": false, "categories": {}, "category_scores": {}}],
            }),
            Operation::Messages => json!({
                "id": "msg_fake", "type": "message", "role": "assistant", "model": self.model,
                "content": [self.block(&text)], "stop_reason": self.finish(), "stop_sequence": null,
            }),
            Operation::CountTokens => json!({"input_tokens": 42}),
        };
        let is_counted = self.has_usage && !self.operation.is_free();
        if let (true, Some(members)) = (is_counted, answer.as_object_mut()) {
            members.insert("usage".to_owned(), self.usage());
        }
        answer.to_string()
    }

    fn embedding(&self, (index, text): (usize, &Value)) -> Value {
        let numbers = if self.model.ends_with("meaning") { meaning(text) } else { digest(text) };
        let embedding = if self.is_base64 {
            let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
            Value::from(BASE64_STANDARD.encode(bytes))
        } else {
            Value::from(numbers.into_iter().map(f64::from).collect::<Vec<_>>())
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    }

    pub(super) fn usage(&self) -> Value {
        let (input, output) = (self.input_tokens, self.output_tokens);
        match self.operation {
            Operation::Messages | Operation::CountTokens => {
                json!({"input_tokens": input, "output_tokens": output, "service_tier": "standard"})
            }
            Operation::Responses => json!({
                "input_tokens": input, "output_tokens": output, "total_tokens": input + output,
                "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
            }),
            Operation::Embeddings => json!({"prompt_tokens": input, "total_tokens": input}),
            Operation::ChatCompletions | Operation::Completions | Operation::Moderations => {
                json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
            }
        }
    }

    /// Why the answer is over, in the words of its format.
    pub(super) fn finish(&self) -> &'static str {
        match (&self.content, self.operation.dialect()) {
            (Content::Text(_), Dialect::OpenAi) => "stop",
            (Content::Text(_), Dialect::Anthropic) => "end_turn",
            (Content::Call { .. }, Dialect::OpenAi) => "tool_calls",
            (Content::Call { .. }, Dialect::Anthropic) => "tool_use",
        }
    }

    fn chat_message(&self, text: &str) -> Value {
        match &self.content {
            Content::Text(_) => json!({"role": "assistant", "content": text, "refusal": null}),
            Content::Call { tool, .. } => {
                json!({"role": "assistant", "content": null, "refusal": null,
                "tool_calls": [{"id": "call_fake", "type": "function", "function": {"name": tool, "arguments": text}}]})
            }
        }
    }

    /// The content of a message; with an empty text, as its stream begins.
    pub(super) fn block(&self, text: &str) -> Value {
        match &self.content {
            Content::Text(_) => json!({"type": "text", "text": text}),
            Content::Call { tool, .. } => {
                let input: Value = serde_json::from_str(text).unwrap_or_else(|_| json!({}));
                json!({"type": "tool_use", "id": "toolu_fake", "name": tool, "input": input})
            }
        }
    }

    /// The one item of a response.
    pub(super) fn item(&self, text: &str, status: &str) -> Value {
        match &self.content {
            Content::Text(_) => {
                let content = if status == "completed" { vec![part(text)] } else { Vec::new() };
                json!({"type": "message", "id": "msg_fake", "status": status, "role": "assistant", "content": content})
            }
            Content::Call { tool, .. } => {
                json!({"type": "function_call", "id": "fc_fake", "call_id": "call_fake",
                "name": tool, "arguments": text, "status": status})
            }
        }
    }

    pub(super) fn response(&self, status: &str, output: &Value) -> Value {
        json!({
            "id": "resp_fake", "object": "response", "created_at": 1, "model": self.model, "status": status,
            "error": null, "incomplete_details": null, "instructions": null, "metadata": {},
            "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
            "service_tier": "default", "output": output,
        })
    }
}

/// The text of a response.
pub(super) fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// Numbers, of which the last one follows from the text, or their bytes as `OpenAI` has them in base64: little-endian, four each.
/// The words of a text, whatever their order, as a model would have it that knows nothing else: near is what has most
/// words in common.
fn meaning(text: &Value) -> Vec<f32> {
    let mut counts = [0_u8; 64];
    let text = text.as_str().unwrap_or_default().to_lowercase();
    for word in text.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty()) {
        let hash = word.bytes().fold(7_usize, |sum, it| sum.wrapping_mul(31) ^ usize::from(it));
        if let Some(count) = counts.get_mut(hash % 64) {
            *count = count.saturating_add(1);
        }
    }
    counts.into_iter().map(f32::from).collect()
}

/// Numbers that tell texts apart, and nothing else.
fn digest(text: &Value) -> Vec<f32> {
    let last = text.to_string().bytes().fold(7_u16, |sum, it| sum.wrapping_mul(31) ^ u16::from(it));
    let numbers = (1..DIMENSIONS).map(|it| f32::from(it - 1) / 8.0);
    numbers.chain(std::iter::once(f32::from(last) / 1024.0)).collect()
}

/// An error in the vendor's own words.
pub(crate) fn error(dialect: Dialect, status: u16) -> String {
    let message = format!("the fake was asked for {status}");
    let error = match dialect {
        Dialect::OpenAi => {
            json!({"error": {"message": message, "type": "server_error", "param": null, "code": null}})
        }
        Dialect::Anthropic => {
            let kind = match status {
                400 | 422 => "invalid_request_error",
                429 => "rate_limit_error",
                529 => "overloaded_error",
                _ => "api_error",
            };
            json!({"type": "error", "error": {"type": kind, "message": message}})
        }
    };
    error.to_string()
}

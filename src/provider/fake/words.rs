//! What the fake says: words that follow from the request, and their tokens, in both wire formats. Pure.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Orders;
use crate::provider::{Asked, Dialect, Operation};

const WORDS: [&str; 8] = ["alpha", "beta", "gamma", "delta", "omega", "sigma", "kappa", "theta"];
/// Numbers of an embedding.
const DIMENSIONS: u16 = 8;

/// One answer.
#[derive(Debug)]
pub(crate) struct Said<'a> {
    operation: Operation,
    model: &'a str,
    wants_usage: bool,
    words: Vec<&'static str>,
    malformed: Option<u64>,
    has_usage: bool,
    has_end: bool,
    /// What is to be embedded.
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
        let count = orders.chunks.min(asked.max_output.unwrap_or(u64::MAX));
        let seed = body.iter().fold(7_usize, |sum, it| sum.wrapping_mul(31) + usize::from(*it));
        let word = |index: u64| {
            let index = seed.wrapping_add(usize::try_from(index).unwrap_or_default() * 5);
            WORDS.get(index % WORDS.len()).copied().unwrap_or_default()
        };
        let has_words = operation.has_output();
        let read = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let inputs = match read.get("input") {
            Some(Value::Array(list)) if list.iter().any(|it| !it.is_number()) => list.clone(),
            other => vec![other.cloned().unwrap_or_default()],
        };
        Self {
            operation,
            model: &asked.model,
            wants_usage: asked.wants_usage,
            words: (0..if has_words { count } else { 0 }).map(word).collect(),
            malformed: orders.malformed,
            has_usage: orders.has_usage,
            has_end: orders.has_end,
            inputs,
            is_base64: read.get("encoding_format").is_some_and(|it| it == "base64"),
            input_tokens: if operation.is_free() { 0 } else { body.len() as u64 / 8 + 1 },
            output_tokens: if has_words { count } else { 0 },
        }
    }

    /// The answer as a whole.
    pub(crate) fn whole(&self) -> String {
        let text = self.words.join(" ");
        let mut answer = match self.operation {
            Operation::ChatCompletions => json!({
                "id": "chatcmpl-fake", "object": "chat.completion", "created": 1, "model": self.model,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null}, "finish_reason": "stop", "logprobs": null}],
            }),
            Operation::Completions => json!({
                "id": "cmpl-fake", "object": "text_completion", "created": 1, "model": self.model,
                "choices": [{"index": 0, "text": text, "finish_reason": "stop", "logprobs": null}],
            }),
            Operation::Responses => self.response(&text, "completed"),
            Operation::Embeddings => json!({
                "object": "list", "model": self.model,
                "data": self.inputs.iter().enumerate().map(|it| self.embedding(it)).collect::<Vec<_>>(),
            }),
            Operation::Moderations => json!({
                "id": "modr-fake", "model": self.model, "results": [{"flagged": false, "categories": {}, "category_scores": {}}],
            }),
            Operation::Messages => json!({
                "id": "msg_fake", "type": "message", "role": "assistant", "model": self.model,
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            }),
            Operation::CountTokens => json!({"input_tokens": 42}),
        };
        let is_counted = self.has_usage && !self.operation.is_free();
        if let (true, Some(members)) = (is_counted, answer.as_object_mut()) {
            members.insert("usage".to_owned(), self.usage());
        }
        answer.to_string()
    }

    /// Numbers that follow from the text.
    fn embedding(&self, (index, text): (usize, &Value)) -> Value {
        let seed =
            text.to_string().bytes().fold(7_u16, |sum, it| sum.wrapping_mul(31) ^ u16::from(it));
        let numbers =
            (0..DIMENSIONS).map(|it| f32::from(seed.wrapping_mul(it + 1) % 2000) / 1000.0 - 1.0);
        let embedding = if self.is_base64 {
            use base64::Engine as _;
            let bytes: Vec<_> = numbers.flat_map(f32::to_le_bytes).collect();
            Value::from(base64::engine::general_purpose::STANDARD.encode(bytes))
        } else {
            numbers.map(f64::from).collect()
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    }

    fn usage(&self) -> Value {
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

    fn response(&self, text: &str, status: &str) -> Value {
        json!({
            "id": "resp_fake", "object": "response", "created_at": 1, "model": self.model, "status": status,
            "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "service_tier": "default",
            "output": [{"type": "message", "id": "msg_fake", "status": status, "role": "assistant",
                "content": [{"type": "output_text", "text": text, "annotations": []}]}],
        })
    }

    /// The answer as events, each with the tokens that it carries.
    pub(crate) fn events(&self) -> Vec<(Bytes, u64)> {
        let mut events = match self.operation.dialect() {
            Dialect::Anthropic => self.message_events(),
            Dialect::OpenAi if self.operation == Operation::Responses => self.response_events(),
            Dialect::OpenAi => self.chunks(),
        };
        if !self.has_end {
            events.pop();
        }
        if let Some(at) = self.malformed {
            let at = usize::try_from(at).unwrap_or_default().min(events.len());
            events.insert(at, (Bytes::from_static(b"data: {\"half\": \n\n"), 0));
        }
        events
    }

    fn chunks(&self) -> Vec<(Bytes, u64)> {
        let chunk = |choices: Value, usage: Value| {
            let mut chunk = json!({"id": "fake", "object": "chat.completion.chunk", "created": 1,
                "model": self.model, "choices": choices});
            if let (true, Some(members)) = (self.wants_usage, chunk.as_object_mut()) {
                members.insert("usage".to_owned(), usage);
            }
            data(&chunk)
        };
        let is_chat = self.operation == Operation::ChatCompletions;
        let said = |word: &&str| {
            let choice = if is_chat {
                json!([{"index": 0, "delta": {"content": format!("{word} ")}, "finish_reason": null}])
            } else {
                json!([{"index": 0, "text": format!("{word} "), "finish_reason": null}])
            };
            (chunk(choice, Value::Null), 1)
        };
        let mut events: Vec<_> = self.words.iter().map(said).collect();
        let stop = json!([{"index": 0, "delta": {}, "text": "", "finish_reason": "stop"}]);
        events.push((chunk(stop, Value::Null), 0));
        if self.wants_usage && self.has_usage {
            events.push((chunk(json!([]), self.usage()), 0));
        }
        events.push((Bytes::from_static(b"data: [DONE]\n\n"), 0));
        events
    }

    fn response_events(&self) -> Vec<(Bytes, u64)> {
        let created = json!({"type": "response.created", "sequence_number": 0, "response": self.response("", "in_progress")});
        let mut events = vec![(named(&created), 0)];
        for (index, word) in self.words.iter().enumerate() {
            let delta = json!({"type": "response.output_text.delta", "sequence_number": index + 1,
                "item_id": "msg_fake", "output_index": 0, "content_index": 0, "delta": format!("{word} "), "logprobs": []});
            events.push((named(&delta), 1));
        }
        let mut response = self.response(&self.words.join(" "), "completed");
        if let (true, Some(members)) = (self.has_usage, response.as_object_mut()) {
            members.insert("usage".to_owned(), self.usage());
        }
        let done = json!({"type": "response.completed", "sequence_number": self.words.len() + 1, "response": response});
        events.push((named(&done), 0));
        events
    }

    fn message_events(&self) -> Vec<(Bytes, u64)> {
        let start = json!({"type": "message_start", "message": {
            "id": "msg_fake", "type": "message", "role": "assistant", "model": self.model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": self.input_tokens, "output_tokens": 1}}});
        let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
        let mut events = vec![(named(&start), 0), (named(&block), 0)];
        for word in &self.words {
            let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": format!("{word} ")}});
            events.push((named(&delta), 1));
        }
        let mut delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}});
        if let (true, Some(members)) = (self.has_usage, delta.as_object_mut()) {
            members.insert("usage".to_owned(), json!({"output_tokens": self.output_tokens}));
        }
        events.push((named(&json!({"type": "content_block_stop", "index": 0})), 0));
        events.push((named(&delta), 0));
        events.push((named(&json!({"type": "message_stop"})), 0));
        events
    }
}

fn data(json: &Value) -> Bytes {
    Bytes::from(format!("data: {json}\n\n"))
}

fn named(json: &Value) -> Bytes {
    let name = json.get("type").and_then(Value::as_str).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {json}\n\n"))
}

/// An error in the vendor's own words.
pub(crate) fn error(dialect: Dialect, status: u16) -> String {
    let message = format!("the fake was asked for {status}");
    let error = match dialect {
        Dialect::OpenAi => {
            json!({"error": {"message": message, "type": "server_error", "param": null, "code": null}})
        }
        Dialect::Anthropic => {
            json!({"type": "error", "error": {"type": "api_error", "message": message}})
        }
    };
    error.to_string()
}

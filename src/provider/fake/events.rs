//! Streams of the fake, event by event as the vendors send them. Pure.

use bytes::Bytes;
use serde_json::{Value, json};

use super::content::Content;
use super::words::{Said, part};
use crate::provider::{Dialect, Operation};

/// An event with the tokens that it carries.
type Events = Vec<(Bytes, u64)>;

impl Said<'_> {
    /// The answer as events.
    pub(crate) fn events(&self) -> Events {
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

    fn chunks(&self) -> Events {
        let chunk = |choices: Value, usage: Value| {
            let mut chunk = json!({"id": "fake", "object": "chat.completion.chunk", "created": 1,
                "model": self.model, "choices": choices});
            if let (true, Some(members)) = (self.wants_usage, chunk.as_object_mut()) {
                members.insert("usage".to_owned(), usage);
            }
            data(&chunk)
        };
        let said = |(index, piece): (usize, &String)| {
            let choice = if self.operation == Operation::ChatCompletions {
                json!([{"index": 0, "delta": self.delta(index, piece), "finish_reason": null}])
            } else {
                json!([{"index": 0, "text": piece, "finish_reason": null}])
            };
            (chunk(choice, Value::Null), 1)
        };
        let mut events: Vec<_> = self.content.pieces().iter().enumerate().map(said).collect();
        let finish = self.finish();
        let stop = json!([{"index": 0, "delta": {}, "text": "", "finish_reason": finish}]);
        events.push((chunk(stop, Value::Null), 0));
        if self.wants_usage && self.has_usage {
            events.push((chunk(json!([]), self.usage()), 0));
        }
        events.push((Bytes::from_static(b"data: [DONE]\n\n"), 0));
        events
    }

    fn delta(&self, index: usize, piece: &str) -> Value {
        let mut delta = match &self.content {
            Content::Text(_) => json!({"content": piece}),
            Content::Call { tool, .. } if index == 0 => json!({"content": null, "tool_calls": [
                {"index": 0, "id": "call_fake", "type": "function", "function": {"name": tool, "arguments": piece}}]}),
            Content::Call { .. } => {
                json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
            }
        };
        if let (0, Some(members)) = (index, delta.as_object_mut()) {
            members.insert("role".to_owned(), Value::from("assistant"));
        }
        delta
    }

    fn response_events(&self) -> Events {
        let text = self.content.pieces().concat();
        let open = || self.response("in_progress", &json!([]));
        let mut events = vec![
            (json!({"type": "response.created", "response": open()}), 0),
            (json!({"type": "response.in_progress", "response": open()}), 0),
            (
                json!({"type": "response.output_item.added", "output_index": 0, "item": self.item("", "in_progress")}),
                0,
            ),
        ];
        let (of, extra) = match &self.content {
            Content::Text(_) => {
                (json!({"item_id": "msg_fake", "output_index": 0, "content_index": 0}), true)
            }
            Content::Call { .. } => (json!({"item_id": "fc_fake", "output_index": 0}), false),
        };
        let kind = if extra { "output_text" } else { "function_call_arguments" };
        let done = if extra { "text" } else { "arguments" };
        if extra {
            events.push((with(&of, "response.content_part.added", &json!({"part": part("")})), 0));
        }
        for piece in self.content.pieces() {
            let delta = json!({"delta": piece, "logprobs": []});
            events.push((with(&of, &format!("response.{kind}.delta"), &delta), 1));
        }
        events.push((
            with(&of, &format!("response.{kind}.done"), &json!({done: text, "logprobs": []})),
            0,
        ));
        if extra {
            events
                .push((with(&of, "response.content_part.done", &json!({"part": part(&text)})), 0));
        }
        let item = self.item(&text, "completed");
        events.push((
            json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
            0,
        ));
        let mut response = self.response("completed", &json!([item]));
        if let (true, Some(members)) = (self.has_usage, response.as_object_mut()) {
            members.insert("usage".to_owned(), self.usage());
        }
        events.push((json!({"type": "response.completed", "response": response}), 0));
        let numbered = events.into_iter().enumerate().map(|(number, (event, tokens))| {
            (named(&with(&event, "", &json!({"sequence_number": number}))), tokens)
        });
        numbered.collect()
    }

    fn message_events(&self) -> Events {
        let start = json!({"type": "message_start", "message": {
            "id": "msg_fake", "type": "message", "role": "assistant", "model": self.model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": self.input_tokens, "output_tokens": 1}}});
        let block =
            json!({"type": "content_block_start", "index": 0, "content_block": self.block("")});
        let mut events = vec![(named(&start), 0), (named(&block), 0)];
        for piece in self.content.pieces() {
            let delta = match &self.content {
                Content::Text(_) => json!({"type": "text_delta", "text": piece}),
                Content::Call { .. } => json!({"type": "input_json_delta", "partial_json": piece}),
            };
            let delta = json!({"type": "content_block_delta", "index": 0, "delta": delta});
            events.push((named(&delta), 1));
        }
        let finish = self.finish();
        let mut delta = json!({"type": "message_delta", "delta": {"stop_reason": finish, "stop_sequence": null}});
        if let (true, Some(members)) = (self.has_usage, delta.as_object_mut()) {
            members.insert("usage".to_owned(), json!({"output_tokens": self.output_tokens}));
        }
        events.push((named(&json!({"type": "content_block_stop", "index": 0})), 0));
        events.push((named(&delta), 0));
        events.push((named(&json!({"type": "message_stop"})), 0));
        events
    }
}

/// An event with the members of another, and a kind unless it is empty.
fn with(event: &Value, kind: &str, more: &Value) -> Value {
    let mut members = event.as_object().cloned().unwrap_or_default();
    if !kind.is_empty() {
        members.insert("type".to_owned(), Value::from(kind));
    }
    members.extend(more.as_object().cloned().unwrap_or_default());
    Value::Object(members)
}

fn data(json: &Value) -> Bytes {
    Bytes::from(format!("data: {json}\n\n"))
}

fn named(json: &Value) -> Bytes {
    let name = json.get("type").and_then(Value::as_str).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {json}\n\n"))
}

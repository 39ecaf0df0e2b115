//! The texts of a stream, gathered as they pass, for those calls whose content is kept.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::Trail;
use super::content::{Message, Part};
use crate::model::trace::ToolCall;
use crate::provider::Operation;
use crate::provider::sse::Parser;

/// The largest event that is read.
const EVENT_BYTES: usize = 1 << 20;

/// A piece of a text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece<'a> {
    /// Of the answer.
    Text(&'a str),
    /// Of the arguments of a tool, named by its place in the answer.
    Arguments(u64, &'a str),
}

/// What was heard so far.
#[derive(Debug, Default)]
pub struct Heard {
    text: String,
    arguments: BTreeMap<u64, String>,
}

impl Heard {
    /// Takes a piece in, up to so many bytes of each text and a few more, which show that it goes on.
    pub(super) fn add(&mut self, piece: Piece<'_>, bytes: usize) {
        let (text, more) = match piece {
            Piece::Text(more) => (&mut self.text, more),
            Piece::Arguments(place, more) => {
                if self.arguments.len() >= 64 && !self.arguments.contains_key(&place) {
                    return;
                }
                (self.arguments.entry(place).or_default(), more)
            }
        };
        if text.len() <= bytes {
            text.push_str(more);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.arguments.values().map(String::len).sum::<usize>()
    }

    /// As the answer's message.
    pub(super) fn messages(&self, tools: &[ToolCall]) -> Vec<Message> {
        let mut parts = Vec::new();
        if !self.text.is_empty() {
            parts.push(Part::Text { content: self.text.clone() });
        }
        let nothing = String::new();
        let arguments = self.arguments.values().chain(std::iter::repeat(&nothing));
        parts.extend(tools.iter().zip(arguments).map(|(tool, arguments)| Part::ToolCall {
            id: tool.id.clone(),
            name: tool.name.clone(),
            arguments: arguments.clone(),
        }));
        if parts.is_empty() {
            return Vec::new();
        }
        vec![Message { role: "assistant".to_owned(), parts }]
    }
}

/// Reads a stream on its way.
#[derive(Debug)]
pub struct Listener {
    trail: Trail,
    parser: Parser,
    operation: Operation,
}

impl Listener {
    /// For a call whose content is kept; `None` for others.
    #[must_use]
    pub fn of(trail: &Trail) -> Option<Self> {
        let trail = trail.listens();
        let operation = trail.operation()?;
        Some(Self { trail, parser: Parser::new(EVENT_BYTES), operation })
    }

    /// Takes a piece in, as the client gets it.
    pub fn push(&mut self, piece: &Bytes) {
        let Self { trail, parser, operation } = self;
        parser.push(piece, |event| {
            if let Ok(value) = serde_json::from_slice::<Value>(&event.data) {
                read(*operation, &value, &mut |piece| trail.hear(piece));
            }
        });
    }
}

fn read(operation: Operation, event: &Value, hear: &mut dyn FnMut(Piece<'_>)) {
    let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64);
    match operation {
        Operation::ChatCompletions | Operation::Completions => {
            let choices = event.get("choices").and_then(Value::as_array).into_iter().flatten();
            // Of several answers the first is kept.
            for choice in choices.filter(|it| number(it, "index").unwrap_or_default() == 0) {
                let text = choice.pointer("/delta/content").or_else(|| choice.get("text"));
                if let Some(text) = text.and_then(Value::as_str) {
                    hear(Piece::Text(text));
                }
                let calls = choice.pointer("/delta/tool_calls").and_then(Value::as_array);
                for call in calls.into_iter().flatten() {
                    let text = call.pointer("/function/arguments").and_then(Value::as_str);
                    let place = number(call, "index").unwrap_or_default();
                    hear(Piece::Arguments(place, text.unwrap_or_default()));
                }
            }
        }
        Operation::Messages => {
            if let Some(text) = event.pointer("/delta/text").and_then(Value::as_str) {
                hear(Piece::Text(text));
            }
            if let Some(text) = event.pointer("/delta/partial_json").and_then(Value::as_str) {
                hear(Piece::Arguments(number(event, "index").unwrap_or_default(), text));
            }
        }
        Operation::Responses => {
            let place = number(event, "output_index").unwrap_or_default();
            let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
            match (kind, event.get("delta").and_then(Value::as_str)) {
                ("response.output_text.delta", Some(text)) => hear(Piece::Text(text)),
                ("response.function_call_arguments.delta", Some(text)) => {
                    hear(Piece::Arguments(place, text));
                }
                _ => {}
            }
        }
        Operation::Embeddings | Operation::Moderations | Operation::CountTokens => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(operation: Operation, events: &[&str]) -> Heard {
        let mut heard = Heard::default();
        for event in events {
            let event = serde_json::from_str(event).unwrap();
            read(operation, &event, &mut |piece| heard.add(piece, 10));
        }
        heard
    }

    #[test]
    fn the_pieces_of_a_text_are_joined_and_arguments_go_to_their_tools() {
        let chat = heard(
            Operation::ChatCompletions,
            &[
                r#"{"choices":[{"index":0,"delta":{"content":"Hel"}},{"index":1,"delta":{"content":"No"}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"content":"lo"}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"s"}}]}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}}]}"#,
            ],
        );
        let tool = |name: &str| ToolCall { name: name.to_owned(), id: String::new() };
        let messages = chat.messages(&[tool("a"), tool("b")]);
        let text = serde_json::to_string(&messages[0].parts).unwrap();
        assert_eq!(
            text,
            r#"[{"type":"text","content":"Hello"},{"type":"tool_call","name":"a","arguments":""},{"type":"tool_call","name":"b","arguments":"{}"}]"#
        );
        let message = heard(
            Operation::Messages,
            &[
                r#"{"type":"content_block_delta","index":0,"delta":{"text":"Hi"}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"partial_json":"{}"}}"#,
            ],
        );
        assert_eq!((message.text.as_str(), message.bytes()), ("Hi", 4));
        let response = r#"{"type":"response.output_text.delta","output_index":0,"delta":"Ho"}"#;
        assert_eq!(heard(Operation::Responses, &[response]).text, "Ho");
    }

    #[test]
    fn no_more_is_heard_than_is_kept() {
        let event = r#"{"choices":[{"delta":{"content":"12345678"}}]}"#;
        assert_eq!(heard(Operation::ChatCompletions, &[event; 9]).bytes(), 16);
    }
}

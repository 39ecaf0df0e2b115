//! Which attributes hold what people, models and tools have said, or what nobody may read; and the former as content. By
//! OpenTelemetry's conventions, and the names that widespread instrumentations use instead. Pure.

use serde_json::{Map, Number, Value};

use super::values;
use super::wire::{AnyValue, Kind};
use crate::gateway::ledger::trail::content::{self, Content, Message, Part};
use crate::gateway::ledger::trail::settings::Keep;

/// A longer text is not read, and only its beginning kept.
const READ_BYTES: usize = 256 << 10;
/// Lists in lists, and items of one.
const DEPTH_AT_MOST: usize = 8;
const ITEMS_AT_MOST: usize = 512;
/// Attributes of one span that hold what was said.
const SAID_AT_MOST: usize = 64;

const CONTENT: [&str; 16] = [
    "db.query.text",
    "db.statement",
    "gen_ai.completion",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.prompt",
    "gen_ai.retrieval.documents",
    "gen_ai.retrieval.query.text",
    "gen_ai.system_instructions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.tool.definitions",
    "input.value",
    "output.value",
    "url.query",
    "final_result",
];
const CONTENT_BELOW: [&str; 18] = [
    "ai.prompt",
    "ai.response.object",
    "ai.response.text",
    "ai.response.toolCalls",
    "ai.toolCall.args",
    "ai.toolCall.result",
    "db.operation.parameter.",
    "db.query.parameter.",
    "embedding.embeddings",
    "gen_ai.completion.",
    "gen_ai.prompt.",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompt",
    "retrieval.documents",
    "traceloop.entity.",
];
/// Last words of names.
const CONTENT_WORDS: [&str; 14] = [
    "all_messages",
    "all_messages_events",
    "arguments",
    "args",
    "body",
    "completion",
    "content",
    "documents",
    "input",
    "messages",
    "output",
    "prompt",
    "tool_arguments",
    "tool_response",
];
/// Likewise, of events whose names begin with `gen_ai.`.
const EVENT_WORDS: [&str; 3] = ["message", "tool_calls", "result"];
const SECRET_WORDS: [&str; 14] = [
    "access_token",
    "api_key",
    "apikey",
    "authorization",
    "client_secret",
    "cookie",
    "passwd",
    "password",
    "proxy_authorization",
    "refresh_token",
    "secret",
    "set_cookie",
    "token",
    "x_api_key",
];
/// Addresses, whose queries may say anything.
const ADDRESSES: [&str; 4] = ["http.target", "http.url", "url.full", "url.original"];

/// Whether an attribute holds what was said; `event` is the name of the event that it is of, or empty.
pub(super) fn is_content(name: &str, event: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    CONTENT.contains(&name)
        || CONTENT_BELOW.iter().any(|it| name.starts_with(it))
        || CONTENT_WORDS.contains(&last)
        || (event.starts_with("gen_ai.") && EVENT_WORDS.contains(&last))
}

/// Whether an attribute holds what opens something.
pub(super) fn is_secret(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let last = last.to_ascii_lowercase().replace('-', "_");
    SECRET_WORDS.contains(&last.as_str())
}

/// Addresses without their queries and without who opens them; other texts as they are.
pub(super) fn of_address<'a>(name: &str, text: &'a str) -> &'a str {
    if !ADDRESSES.contains(&name) {
        return text;
    }
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let Some((_, rest)) = text.split_once("://") else { return text };
    let host = rest.split('/').next().unwrap_or_default();
    match host.rsplit_once('@') {
        // What follows the scheme and the name is enough to tell addresses apart.
        Some((who, _)) => rest.get(who.len() + 1..).unwrap_or_default(),
        None => text,
    }
}

/// What was said in a span.
#[derive(Debug)]
pub(super) struct Said {
    /// Nothing where it is not kept, or where nothing was said.
    pub(super) content: Option<Content>,
    keep: Keep,
    count: usize,
}

impl Said {
    pub(super) fn new(keep: Keep) -> Self {
        Self { content: None, keep, count: 0 }
    }

    /// Takes in an attribute.
    pub(super) fn hear(&mut self, name: &str, value: Option<AnyValue>) {
        let Some(value) = value.filter(|_| self.keep != Keep::Off) else { return };
        let content = self.content.get_or_insert_default();
        if self.count >= SAID_AT_MOST {
            content.is_cut = true;
            return;
        }
        self.count += 1;
        let (value, is_cut) = parsed(value);
        content.is_cut |= is_cut;
        let messages = match name {
            "gen_ai.input.messages" | "gen_ai.output.messages" if value.is_array() => {
                content::of_telemetry(&value)
            }
            "gen_ai.system_instructions" => {
                let parts = value.as_array().into_iter().flatten();
                let parts: Vec<_> = parts.filter_map(content::telemetry_part).collect();
                vec![Message { role: "system".to_owned(), parts }]
            }
            _ => Vec::new(),
        };
        let messages = if messages.iter().any(|it| !it.parts.is_empty()) {
            messages
        } else {
            let content = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let role = name.chars().filter(|it| !it.is_control()).take(100).collect();
            vec![Message { role, parts: vec![Part::Text { content }] }]
        };
        let side = if is_output(name) { &mut content.output } else { &mut content.input };
        side.extend(messages);
    }
}

fn is_output(name: &str) -> bool {
    let words = ["output", "completion", "response", "result", "documents"];
    words.iter().any(|it| name.contains(it))
}

/// A value as JSON, read where it is a text that holds JSON; whether something of it is left out.
fn parsed(value: AnyValue) -> (Value, bool) {
    let mut is_cut = false;
    let value = plain(value, 0, &mut is_cut);
    let Value::String(text) = &value else { return (value, is_cut) };
    let looks_like_json = text.trim_start().starts_with(['[', '{']);
    let read = looks_like_json.then(|| serde_json::from_str(text).ok()).flatten();
    (read.unwrap_or(value), is_cut)
}

fn plain(value: AnyValue, depth: usize, is_cut: &mut bool) -> Value {
    match value.kind {
        Some(Kind::Text(mut text)) => {
            if text.len() > READ_BYTES {
                text.truncate(text.floor_char_boundary(READ_BYTES));
                *is_cut = true;
            }
            Value::from(values::without_controls(&text))
        }
        Some(Kind::Bool(is)) => Value::from(is),
        Some(Kind::Int(number)) => Value::from(number),
        Some(Kind::Double(number)) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        Some(Kind::Array(_) | Kind::Members(_)) if depth >= DEPTH_AT_MOST => {
            *is_cut = true;
            Value::Null
        }
        Some(Kind::Array(list)) => {
            *is_cut |= list.values.len() > ITEMS_AT_MOST;
            let items = list.values.into_iter().take(ITEMS_AT_MOST);
            items.map(|it| plain(it, depth + 1, is_cut)).collect()
        }
        Some(Kind::Members(list)) => {
            *is_cut |= list.values.len() > ITEMS_AT_MOST;
            let mut members = Map::new();
            for it in list.values.into_iter().take(ITEMS_AT_MOST) {
                let value = it.value.map_or(Value::Null, |it| plain(it, depth + 1, is_cut));
                members.insert(it.key, value);
            }
            Value::Object(members)
        }
        Some(Kind::Bytes(_)) | None => Value::Null,
    }
}

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
/// Ends of last words, however they are written: `token`, and `authtoken`.
const SECRET_ENDS: [&str; 13] = [
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "secrets",
    "token",
    "username",
];
/// Last words that are the end of others, too.
const SECRET_WORDS: [&str; 6] = ["bearer", "cookies", "jwt", "passwords", "pwd", "userpass"];
/// The last two words.
const SECRET_PAIRS: [(&str, &str); 9] = [
    ("access", "key"),
    ("account", "key"),
    ("api", "key"),
    ("db", "user"),
    ("encryption", "key"),
    ("private", "key"),
    ("secret", "key"),
    ("signing", "key"),
    ("user", "name"),
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

/// Whether an attribute holds what opens something, or who somebody is. A count of tokens opens nothing.
pub(super) fn is_secret(name: &str, value: &Kind) -> bool {
    let words = words(name);
    let Some(last) = words.last() else { return false };
    let is_count = match value {
        Kind::Bool(_) => return false,
        Kind::Int(_) | Kind::Double(_) => true,
        Kind::Text(_) | Kind::Array(_) | Kind::Members(_) | Kind::Bytes(_) => false,
    };
    if is_count && last == "token" {
        return false;
    }
    let before = words.iter().rev().nth(1);
    SECRET_ENDS.iter().any(|it| last.ends_with(it))
        || SECRET_WORDS.contains(&last.as_str())
        || before.is_some_and(|it| SECRET_PAIRS.contains(&(it.as_str(), last.as_str())))
}

/// A name taken apart: `my.authToken` and `MY_AUTH_TOKEN` are `my`, `auth`, `token`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut letters = name.chars().peekable();
    let mut former = ' ';
    while let Some(it) = letters.next() {
        let is_next_small = letters.peek().is_some_and(|it| it.is_lowercase());
        // `authToken`, and the `K` of `APIKey`.
        let is_hump = it.is_uppercase()
            && (former.is_lowercase()
                || former.is_ascii_digit()
                || (former.is_uppercase() && is_next_small));
        if is_hump || !it.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| it.is_alphanumeric()) {
            word.extend(it.to_lowercase());
        }
        former = it;
    }
    words.retain(|it| !it.is_empty());
    words
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Kind {
        Kind::Text("x".to_owned())
    }

    #[test]
    fn names_of_secrets_are_known_however_they_are_written() {
        for name in [
            "password",
            "db_password",
            "dbpassword",
            "api_token",
            "my.api_token",
            "MY_API_TOKEN",
            "auth_token",
            "authToken",
            "authtoken",
            "sessionToken",
            "bearer_token",
            "id_token",
            "aws.secret_access_key",
            "clientSecret",
            "private_key",
            "PrivateKey",
            "x-api-key",
            "openaiAPIKey",
            "credential",
            "app/credentials",
            "pwd",
            "jwt",
            "user.name",
            "userName",
            "http.request.header.set-cookie",
            "http.request.header.authorization",
        ] {
            assert!(is_secret(name, &text()), "{name}");
        }
    }

    #[test]
    fn counters_and_other_names_are_not() {
        for name in [
            "gen_ai.usage.input_tokens",
            "max_tokens",
            "maxTokens",
            "token_count",
            "total_tokens",
            "gen_ai.token.type",
            "cache.key",
            "service.name",
            "user.id",
            "",
        ] {
            assert!(!is_secret(name, &text()), "{name}");
        }
        assert!(!is_secret("llm.token", &Kind::Int(7)));
        assert!(is_secret("db.password", &Kind::Int(7)));
        assert!(!is_secret("has_password", &Kind::Bool(true)));
    }
}

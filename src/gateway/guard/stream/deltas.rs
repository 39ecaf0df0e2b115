//! Which strings of an event are pieces of which text, and which texts end with it. Pure.

use serde_json::Value;

use crate::gateway::guard::texts::{Form, Step};
use crate::provider::Operation;

/// The texts that end with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closes {
    /// None.
    Nothing,
    /// All.
    All,
    /// Those whose names begin like one of these.
    Some(Vec<String>),
}

impl Closes {
    /// Whether a text ends.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Some(starts) => starts.iter().any(|it| name.starts_with(it.as_str())),
        }
    }
}

/// The name of the text that a string is a piece of, and its form.
#[must_use]
pub fn delta_of(operation: Operation, event: &Value, path: &[Step<'_>]) -> Option<(String, Form)> {
    match operation {
        Operation::ChatCompletions | Operation::Completions => of_chunk(event, path),
        Operation::Messages => {
            let index = number(event, "index");
            match path {
                [Step::Key("delta"), Step::Key("text")] => {
                    Some((format!("{index}/text"), Form::Plain))
                }
                [Step::Key("delta"), Step::Key("partial_json")] => {
                    Some((format!("{index}/json"), Form::Json))
                }
                _ => None,
            }
        }
        Operation::Responses => of_response(event, path),
        Operation::Embeddings | Operation::Moderations | Operation::CountTokens => None,
    }
}

fn of_chunk(event: &Value, path: &[Step<'_>]) -> Option<(String, Form)> {
    let [Step::Key("choices"), Step::Index(place), rest @ ..] = path else { return None };
    let choice = event.get("choices")?.get(*place)?;
    let index = number(choice, "index");
    match rest {
        [Step::Key("text")] => Some((format!("{index}/text"), Form::Plain)),
        [
            Step::Key("delta"),
            Step::Key(name @ ("content" | "refusal" | "reasoning_content" | "reasoning")),
        ] => Some((format!("{index}/{name}"), Form::Plain)),
        [
            Step::Key("delta"),
            Step::Key("tool_calls"),
            Step::Index(place),
            Step::Key("function"),
            Step::Key("arguments"),
        ] => {
            let call = choice.get("delta")?.get("tool_calls")?.get(*place)?;
            Some((format!("{index}/tool/{}", number(call, "index")), Form::Json))
        }
        [Step::Key("delta"), Step::Key("function_call"), Step::Key("arguments")] => {
            Some((format!("{index}/function"), Form::Json))
        }
        _ => None,
    }
}

fn of_response(event: &Value, path: &[Step<'_>]) -> Option<(String, Form)> {
    let kind = event.get("type")?.as_str()?;
    if path != [Step::Key("delta")] || !ends_in(kind, "delta") {
        return None;
    }
    let is_json = kind.contains("arguments") || kind.contains("input");
    let form = if is_json { Form::Json } else { Form::Plain };
    let part = event.get("content_index").or_else(|| event.get("summary_index"));
    let part = part.and_then(Value::as_u64).unwrap_or_default();
    Some((format!("{}/{part}/{kind}", item(event)), form))
}

/// The texts that end with an event.
#[must_use]
pub fn closes(operation: Operation, event: &Value) -> Closes {
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
    match operation {
        Operation::ChatCompletions | Operation::Completions => {
            let choices = event.get("choices").and_then(Value::as_array);
            let ended = choices
                .into_iter()
                .flatten()
                .filter(|it| !matches!(it.get("finish_reason"), None | Some(Value::Null)));
            let ended: Vec<_> = ended.map(|it| format!("{}/", number(it, "index"))).collect();
            if ended.is_empty() { Closes::Nothing } else { Closes::Some(ended) }
        }
        Operation::Messages => match kind {
            "content_block_stop" => Closes::Some(vec![format!("{}/", number(event, "index"))]),
            "message_delta" | "message_stop" | "error" => Closes::All,
            _ => Closes::Nothing,
        },
        Operation::Responses => match kind {
            "response.completed" | "response.incomplete" | "response.failed" | "error" => {
                Closes::All
            }
            _ if ends_in(kind, "done") => Closes::Some(vec![format!("{}/", item(event))]),
            _ => Closes::Nothing,
        },
        Operation::Embeddings | Operation::Moderations | Operation::CountTokens => Closes::Nothing,
    }
}

/// Whether an event says that the answer is complete.
#[must_use]
pub fn is_last(event: &Value) -> bool {
    let kind = event.get("type").and_then(Value::as_str);
    matches!(kind, Some("message_stop" | "response.completed" | "response.incomplete"))
}

/// Whether a text is the answer itself, and not what the model thought or why it refuses.
#[must_use]
pub fn is_answer(name: &str) -> bool {
    name.ends_with("/content") || name.ends_with("/text") || name.contains("output_text")
}

fn ends_in(kind: &str, end: &str) -> bool {
    kind.rsplit_once('.').is_some_and(|it| it.1 == end)
}

/// What names the item of a response that an event is about.
fn item(event: &Value) -> String {
    let id = event.get("item_id").or_else(|| event.get("item")?.get("id"));
    match id.and_then(Value::as_str) {
        Some(id) => id.to_owned(),
        None => number(event, "output_index").to_string(),
    }
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

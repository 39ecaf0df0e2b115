//! What of a request is compared by its meaning: the last thing that a person said, and that alone. Pure.

use serde_json::Value;

use crate::provider::Operation;

/// Shorter and longer questions are not compared: those say too little, and of these embeddings blur the details.
const BYTES: std::ops::RangeInclusive<usize> = 4..=2000;
/// Members of a message that may be there.
const MEMBERS: [&str; 4] = ["role", "content", "name", "type"];

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Its text.
    pub text: String,
    /// The request without it: another question must have the same.
    pub rest: Value,
}

impl Question {
    /// Of a request; `None` where answers must not be shared by meaning: what tools gave, pictures and files, several
    /// answers at once, anything that is not a text that a person said last.
    #[must_use]
    pub fn read(operation: Operation, body: &[u8]) -> Option<Self> {
        let list = match operation {
            Operation::ChatCompletions | Operation::Messages => "messages",
            Operation::Responses => "input",
            Operation::Completions
            | Operation::Embeddings
            | Operation::Moderations
            | Operation::CountTokens => return None,
        };
        let mut rest: Value = serde_json::from_slice(body).ok()?;
        if rest.get("n").is_some_and(|it| *it != 1) {
            return None;
        }
        let said = rest.get_mut(list)?;
        let last = if said.is_array() { last_text(said)? } else { said };
        let text = last.as_str().filter(|it| BYTES.contains(&it.len()))?.to_owned();
        *last = Value::Null;
        Some(Self { text, rest })
    }
}

/// The text of the last message, where all are texts alone and a person said the last.
fn last_text(said: &mut Value) -> Option<&mut Value> {
    let messages = said.as_array_mut().filter(|it| it.iter().all(is_plain))?;
    let last = messages.last_mut().filter(|it| it["role"] == "user")?;
    let content = last.get_mut("content")?;
    if !content.is_array() {
        return Some(content);
    }
    match content.as_array_mut()?.as_mut_slice() {
        [part] => part.get_mut("text"),
        _ => None,
    }
}

/// A message of texts alone, of a person, a model or a prompt.
fn is_plain(message: &Value) -> bool {
    let Some(members) = message.as_object() else { return false };
    let role = members.get("role").and_then(Value::as_str).unwrap_or_default();
    let is_text = |it: &Value| it["text"].is_string();
    matches!(role, "system" | "developer" | "user" | "assistant")
        && members.keys().all(|it| MEMBERS.contains(&&**it))
        && match members.get("content") {
            Some(Value::String(_)) => true,
            Some(Value::Array(parts)) => parts.iter().all(is_text),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(operation: Operation, body: &str) -> String {
        Question::read(operation, body.as_bytes()).map_or("-".to_owned(), |it| it.text)
    }

    #[test]
    fn the_last_thing_that_a_person_said_is_the_question() {
        let chat = r#"{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Why rust?"}],"n":1}"#;
        assert_eq!(text(Operation::ChatCompletions, chat), "Why rust?");
        let parts =
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"Why rust?"}]}]}"#;
        assert_eq!(text(Operation::Messages, parts), "Why rust?");
        assert_eq!(text(Operation::Responses, r#"{"input":"Why rust?"}"#), "Why rust?");
        let read = Question::read(Operation::ChatCompletions, chat.as_bytes()).unwrap();
        assert_eq!(read.rest["messages"][1]["content"], Value::Null);
        assert_eq!(read.rest["messages"][0]["content"], "Be brief.");
    }

    #[test]
    fn what_must_not_be_shared_is_no_question() {
        let user =
            |content: &str| format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#);
        for body in [
            user(r#"[{"type":"text","text":"What is it?"},{"type":"image_url","image_url":{"url":"x"}}]"#),
            user(r#"[{"type":"tool_result","tool_use_id":"1","content":"7"}]"#),
            user(r#"[{"type":"text","text":"One thing"},{"type":"text","text":"Another"}]"#),
            user(r#""?""#),
            user(&format!("\"{}\"", "word ".repeat(500))),
            r#"{"messages":[{"role":"user","content":"What is it?"}],"n":2}"#.to_owned(),
            r#"{"messages":[{"role":"user","content":"Go on"},{"role":"tool","content":"7"},{"role":"user","content":"And?"}]}"#.to_owned(),
            r#"{"messages":[{"role":"user","content":"Go on"},{"role":"assistant","content":"hm","tool_calls":[]},{"role":"user","content":"And so?"}]}"#.to_owned(),
            r#"{"messages":[{"role":"user","content":"Go on"},{"role":"assistant","content":"Well"}]}"#.to_owned(),
            r#"{"messages":[]}"#.to_owned(),
            "{".to_owned(),
        ] {
            assert_eq!(text(Operation::ChatCompletions, &body), "-", "{body}");
        }
        assert_eq!(
            text(
                Operation::Responses,
                r#"{"input":[{"type":"function_call_output","output":"7"}]}"#
            ),
            "-"
        );
        assert_eq!(text(Operation::Embeddings, r#"{"input":"Why rust?"}"#), "-");
    }
}

//! What an answer says besides its texts and its use: its id, why it ended, which tools it asks for. Pure.

pub mod named;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Operation;
use crate::model::trace::ToolCall;

/// Tools, and reasons to end, that are noted of one answer.
const AT_MOST: usize = 64;
/// Letters of a name or an id.
const LETTERS: usize = 200;

/// What an answer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The provider's id of it.
    pub id: String,
    /// Why it ended, once for each choice.
    pub finish: Vec<String>,
    /// Tools that it asks for.
    pub tools: Vec<ToolCall>,
}

impl Said {
    /// Its id, the first time that it is said.
    pub(super) fn named(&mut self, id: Option<&RawValue>) {
        if let Some(id) = id.and_then(word).filter(|_| self.id.is_empty()) {
            self.id = short(id);
        }
    }

    /// Why it ended.
    pub(super) fn finished(&mut self, why: &str) {
        if self.finish.len() < AT_MOST {
            self.finish.push(short(why));
        }
    }

    /// A tool that it asks for.
    pub(super) fn asks_for(&mut self, name: &str, id: &str) {
        if self.tools.len() < AT_MOST {
            self.tools.push(ToolCall { name: short(name), id: short(id) });
        }
    }

    fn asks_for_value(&mut self, call: &Value, (name, id): (&str, &str)) {
        if let Some(name) = call.pointer(name).and_then(Value::as_str) {
            self.asks_for(name, call.pointer(id).and_then(Value::as_str).unwrap_or_default());
        }
    }

    /// Reads the tools that begin in a piece of a chat's answer: later pieces of them have no name.
    pub(super) fn read_delta(&mut self, delta: &RawValue) {
        #[derive(Deserialize)]
        struct Delta {
            #[serde(default)]
            tool_calls: Option<Vec<Value>>,
            #[serde(default)]
            function_call: Option<Value>,
        }
        let text = delta.get();
        let has = |word: &str| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some();
        if !(has("_call") && has("\"name\"")) {
            return;
        }
        let Ok(delta) = serde_json::from_str::<Delta>(text) else { return };
        for call in delta.tool_calls.iter().flatten() {
            self.asks_for_value(call, ("/function/name", "/id"));
        }
        if let Some(call) = &delta.function_call {
            self.asks_for_value(call, ("/name", "/id"));
        }
    }

    /// Reads a block of a message that begins, or an item of a response that is done.
    pub(super) fn read_block(&mut self, block: &RawValue) {
        if let Ok(block) = serde_json::from_str::<Value>(block.get()) {
            self.read_block_value(&block);
        }
    }

    fn read_block_value(&mut self, block: &Value) {
        match block.get("type").and_then(Value::as_str).unwrap_or_default() {
            "tool_use" | "server_tool_use" | "mcp_tool_use" => {
                self.asks_for_value(block, ("/name", "/id"));
            }
            "function_call" | "custom_tool_call" | "mcp_call" => {
                let id = if block.get("call_id").is_some() { "/call_id" } else { "/id" };
                self.asks_for_value(block, ("/name", id));
            }
            kind @ ("web_search_call"
            | "file_search_call"
            | "code_interpreter_call"
            | "computer_call"
            | "image_generation_call") => {
                let id = block.get("id").and_then(Value::as_str).unwrap_or_default();
                self.asks_for(kind.trim_end_matches("_call"), id);
            }
            _ => {}
        }
    }

    /// Reads why a response ended: its status, or what made it stop before.
    fn read_status(&mut self, response: &Value) {
        let why = response.pointer("/incomplete_details/reason");
        if let Some(why) = why.or_else(|| response.get("status")).and_then(Value::as_str) {
            self.finished(why);
        }
    }
}

/// Reads a whole answer.
#[must_use]
pub fn of_answer(operation: Operation, answer: &Value) -> Said {
    let id = answer.get("id").and_then(Value::as_str).map(short);
    let mut said = Said { id: id.unwrap_or_default(), ..Said::default() };
    let list = |name: &str| answer.get(name).and_then(Value::as_array).into_iter().flatten();
    match operation {
        Operation::ChatCompletions | Operation::Completions => {
            for choice in list("choices") {
                if let Some(why) = choice.get("finish_reason").and_then(Value::as_str) {
                    said.finished(why);
                }
                let calls = choice.pointer("/message/tool_calls").and_then(Value::as_array);
                for call in calls.into_iter().flatten() {
                    said.asks_for_value(call, ("/function/name", "/id"));
                }
                if let Some(call) = choice.pointer("/message/function_call") {
                    said.asks_for_value(call, ("/name", "/id"));
                }
            }
        }
        Operation::Responses => {
            said.read_status(answer);
            list("output").for_each(|it| said.read_block_value(it));
        }
        Operation::Messages => {
            if let Some(why) = answer.get("stop_reason").and_then(Value::as_str) {
                said.finished(why);
            }
            list("content").for_each(|it| said.read_block_value(it));
        }
        Operation::Embeddings | Operation::Moderations | Operation::CountTokens => {}
    }
    said
}

/// A text that needs no unescaping, as words and ids do not. What is no text is none: it must not make the rest
/// unreadable.
pub(super) fn word(value: &RawValue) -> Option<&str> {
    let text = value.get().strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then_some(text)
}

/// A word of a provider as it may be written down: without control characters, and no longer than names are.
#[must_use]
pub fn short(text: &str) -> String {
    plain(text, LETTERS)
}

/// A sentence of a provider, the same way, with at most so many letters.
#[must_use]
pub fn plain(text: &str, letters: usize) -> String {
    text.chars().filter(|it| !it.is_control()).take(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operation: Operation, answer: &str) -> String {
        let said = of_answer(operation, &serde_json::from_str(answer).unwrap());
        let tools = said.tools.iter().map(|it| format!("{}({})", it.name, it.id));
        format!("{} {:?} {}", said.id, said.finish, tools.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn whole_answers_say_why_they_ended_and_which_tools_they_ask_for() {
        let chat = r#"{"id":"c1","choices":[{"finish_reason":"tool_calls","message":{"tool_calls":[
            {"id":"t1","function":{"name":"search","arguments":"{}"}},
            {"id":"t2","function":{"name":"book","arguments":"{}"}}]}},{"finish_reason":"stop"}]}"#;
        assert_eq!(
            check(Operation::ChatCompletions, chat),
            r#"c1 ["tool_calls", "stop"] search(t1) book(t2)"#
        );
        let message = r#"{"id":"m1","stop_reason":"tool_use","content":[{"type":"text","text":"Hm"},
            {"type":"tool_use","id":"t1","name":"search","input":{}}]}"#;
        assert_eq!(check(Operation::Messages, message), r#"m1 ["tool_use"] search(t1)"#);
        let response = r#"{"id":"r1","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},
            "output":[{"type":"function_call","id":"f1","call_id":"t1","name":"search"},
            {"type":"web_search_call","id":"w1"}]}"#;
        assert_eq!(
            check(Operation::Responses, response),
            r#"r1 ["max_output_tokens"] search(t1) web_search(w1)"#
        );
        assert_eq!(check(Operation::Embeddings, r#"{"data":[]}"#), " [] ");
    }

    #[test]
    fn words_are_written_down_without_control_characters_and_bounded() {
        assert_eq!(short("a\u{0}b\nc\u{9b}"), "abc");
        assert_eq!(short(&"m".repeat(6_000)).len(), LETTERS);
        let answer = r#"{"id":"c\u0000","choices":[{"finish_reason":"st\u0000op"}]}"#;
        assert_eq!(check(Operation::ChatCompletions, answer), r#"c ["stop"] "#);
    }

    #[test]
    fn only_the_first_piece_of_a_tool_is_read() {
        let mut said = Said::default();
        for delta in [
            r#"{"content":"a _call of a \"name\""}"#,
            r#"{"tool_calls":[{"index":0,"id":"t1","function":{"name":"search","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"name\":1}"}}]}"#,
        ] {
            said.read_delta(&RawValue::from_string(delta.to_owned()).unwrap());
        }
        assert_eq!(said.tools, [ToolCall { name: "search".to_owned(), id: "t1".to_owned() }]);
    }
}

//! Where the texts lie in requests and answers of both vendors: strings by their place in the JSON, so
//! that every other byte stays as it is. Pure.

use std::ops::Range;

/// How deep JSON may go that is looked at.
const DEPTH: usize = 256;
/// Members that hold what people and models say.
const TEXTS: [&str; 10] = [
    "content",
    "text",
    "input",
    "output",
    "arguments",
    "prompt",
    "instructions",
    "system",
    "refusal",
    "reasoning_content",
];
/// Members of a request below which texts lie.
const REQUEST: [&str; 5] = ["messages", "input", "prompt", "instructions", "system"];
/// Members of an answer below which texts lie.
const ANSWER: [&str; 5] = ["choices", "content", "output", "response", "delta"];

/// One step to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A member.
    Key(&'a str),
    /// A place in a list.
    Index(usize),
}

/// JSON that goes too deep to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the JSON goes deeper than {DEPTH} levels")]
pub struct TooDeep;

/// Visits each string that is a value, with the way to it and its place, quotes included. The JSON
/// has to be valid; nothing else is promised for what is not.
pub fn strings<'a>(
    json: &'a str,
    mut visit: impl FnMut(&[Step<'a>], Range<usize>),
) -> Result<(), TooDeep> {
    let bytes = json.as_bytes();
    let (mut path, mut at, mut expects_key) = (Vec::new(), 0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => path.push(Step::Key("")),
            b'[' => path.push(Step::Index(0)),
            b'}' | b']' => drop(path.pop()),
            b',' => {
                if let Some(Step::Index(place)) = path.last_mut() {
                    *place += 1;
                }
            }
            b'"' => {
                let end = string_end(bytes, at);
                match path.last_mut() {
                    Some(Step::Key(key)) if expects_key => {
                        *key = json.get(at + 1..end - 1).unwrap_or_default();
                        expects_key = false;
                    }
                    _ => visit(&path, at..end),
                }
                at = end;
                continue;
            }
            _ => {}
        }
        if matches!(byte, b'{' | b',') {
            expects_key = matches!(path.last(), Some(Step::Key(_)));
        }
        if path.len() > DEPTH {
            return Err(TooDeep);
        }
        at += 1;
    }
    Ok(())
}

/// Behind the closing quote.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// How a string is a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// It is JSON itself, such as the arguments of a tool.
    Json,
}

/// Whether a string of a request is a text.
#[must_use]
pub fn of_request(path: &[Step<'_>]) -> Option<Form> {
    form(path, &REQUEST)
}

/// Whether a string of an answer is a text, also in events that have whole texts.
#[must_use]
pub fn of_answer(path: &[Step<'_>]) -> Option<Form> {
    let is_whole = matches!(path, [Step::Key("text" | "arguments" | "refusal")])
        || matches!(path, [Step::Key("part" | "item" | "content_block"), ..]);
    if is_whole { last_form(path) } else { form(path, &ANSWER) }
}

fn form(path: &[Step<'_>], below: &[&str]) -> Option<Form> {
    match path.first() {
        Some(Step::Key(first)) if below.contains(first) || is_veiled(first) => last_form(path),
        _ => None,
    }
}

fn last_form(path: &[Step<'_>]) -> Option<Form> {
    let mut names = path.iter().rev().filter_map(|it| match it {
        Step::Key(key) => Some(*key),
        Step::Index(_) => None,
    });
    let last = names.next()?;
    if matches!(last, "signature" | "data" | "encrypted_content" | "id" | "type") {
        return None;
    }
    // What a tool is called with is JSON of any shape.
    let is_in_tool = names.any(|it| it == "input") && path.len() > 2 && !is_responses_item(path);
    match last {
        "arguments" => Some(Form::Json),
        _ if is_in_tool || TEXTS.contains(&last) || is_veiled(last) => Some(Form::Plain),
        _ => None,
    }
}

/// A name that is written with escapes could be any: it counts as one that is looked at.
fn is_veiled(key: &str) -> bool {
    key.contains('\\')
}

/// Items of the `input` of a response have a shape; the `input` of a tool has any.
fn is_responses_item(path: &[Step<'_>]) -> bool {
    matches!(path, [Step::Key("input"), ..])
        && path.iter().filter(|it| **it == Step::Key("input")).count() == 1
}

/// The string that stands in JSON. Halves of surrogate pairs, which are no text, become U+FFFD: a string with one
/// in it is looked at like any other.
#[must_use]
pub fn decode(json: &str) -> Option<String> {
    let whole = serde_json::from_str(json);
    whole.or_else(|_| serde_json::from_str(&without_halves(json))).ok()
}

fn without_halves(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        text.push_str(before);
        let pair = unit(escape).zip(escape.get(6..).and_then(unit));
        let (length, is_half) = match (unit(escape), pair) {
            (_, Some((0xD800..=0xDBFF, 0xDC00..=0xDFFF))) => (12, false),
            (Some(0xD800..=0xDFFF), _) => (6, true),
            (Some(_), _) => (6, false),
            (None, _) => (2, false),
        };
        let Some((escape, after)) = escape.split_at_checked(length) else { break };
        text.push_str(if is_half { "\\ufffd" } else { escape });
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The number of an escape such as `\u00e9` that a text begins with.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// The JSON of a string.
#[must_use]
pub fn encode(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_pairs_hide_nothing() {
        assert_eq!(decode(r#""\ud83d a@b.de""#).unwrap(), "\u{fffd} a@b.de");
        assert_eq!(decode(r#""a@b.de \ude00\\ud83d\n""#).unwrap(), "a@b.de \u{fffd}\\ud83d\n");
        assert_eq!(decode(r#""\ud83d\ud83d\ude00""#).unwrap(), "\u{fffd}\u{1f600}");
        assert_eq!(decode(r#""\u00e9\ud83d\ude00""#).unwrap(), "\u{e9}\u{1f600}");
        for broken in [r#""\ud8"#, r#""\"#, r#""\u+123""#, "\"\\\u{e9}\""] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }

    fn texts(json: &str, of: fn(&[Step<'_>]) -> Option<Form>) -> String {
        let mut found = Vec::new();
        strings(json, |path, range| {
            if let Some(form) = of(path) {
                let mark = if form == Form::Json { "!" } else { "" };
                found.push(format!("{mark}{}", decode(&json[range]).unwrap()));
            }
        })
        .unwrap();
        found.join(" ")
    }

    #[test]
    fn texts_of_requests_are_those_that_people_tools_and_models_say() {
        let chat = r#"{"model":"no","messages":[{"role":"no","content":"a \"b\""},{"content":[{"type":"text","text":"c"},
            {"type":"image_url","image_url":{"url":"no"}}]},{"role":"tool","tool_call_id":"no","content":"d"},
            {"tool_calls":[{"id":"no","function":{"name":"no","arguments":"{\"e\":1}"}}]}],"user":"no","stop":["no"]}"#;
        assert_eq!(texts(chat, of_request), r#"a "b" c d !{"e":1}"#);
        let messages = r#"{"system":[{"type":"text","text":"a"}],"messages":[{"role":"user","content":"b"},{"content":[
            {"type":"tool_use","id":"no","name":"no","input":{"q":"c","deep":[{"x":"d"}]}},
            {"type":"tool_result","tool_use_id":"no","content":[{"type":"text","text":"e"}]},
            {"type":"image","source":{"data":"no","media_type":"no"}}]}],"tools":[{"name":"no","description":"no"}]}"#;
        assert_eq!(texts(messages, of_request), "a b c d e");
        let responses = r#"{"instructions":"a","input":[{"role":"no","content":"b"},{"role":"no","content":[{"type":"input_text","text":"c"}]},
            {"type":"function_call_output","call_id":"no","output":"d"},{"type":"function_call","name":"no","arguments":"e"}]}"#;
        assert_eq!(texts(responses, of_request), "a b c d !e");
        assert_eq!(texts(r#"{"input":"a"}"#, of_request), "a");
        assert_eq!(texts(r#"{"input":["a","b"],"model":"no"}"#, of_request), "a b");
        assert_eq!(texts(r#"{"prompt":["a"]}"#, of_request), "a");
        assert_eq!(texts(r#"{"mess\u0061ges":[{"c\u006fntent":"a"}]}"#, of_request), "a");
    }

    #[test]
    fn texts_of_answers_are_those_that_the_model_says() {
        let chat = r#"{"id":"no","choices":[{"message":{"role":"no","content":"a","tool_calls":[{"id":"no","function":{"name":"no","arguments":"b"}}]},"finish_reason":"no"}]}"#;
        assert_eq!(texts(chat, of_answer), "a !b");
        let message = r#"{"id":"no","content":[{"type":"text","text":"a"},{"type":"tool_use","id":"no","name":"no","input":{"q":"b"}}],"stop_reason":"no"}"#;
        assert_eq!(texts(message, of_answer), "a b");
        let response = r#"{"output":[{"id":"no","content":[{"type":"output_text","text":"a"}]},{"arguments":"b"}],"model":"no"}"#;
        assert_eq!(texts(response, of_answer), "a !b");
        let done = r#"{"type":"response.output_text.done","text":"a","item_id":"no"}"#;
        assert_eq!(texts(done, of_answer), "a");
        let part = r#"{"type":"no","part":{"type":"output_text","text":"a"}}"#;
        assert_eq!(texts(part, of_answer), "a");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(300) + &"]".repeat(300);
        assert_eq!(strings(&deep, |_, _| {}), Err(TooDeep));
    }
}

//! Where the texts lie in requests and answers of both vendors: strings by their place in the JSON, so
//! that every other byte stays as it is. Pure.

use std::ops::Range;

/// How deep JSON may go that is looked at.
const DEPTH: usize = 256;
/// The least that a file in base64 has.
const FILE_BYTES: usize = 64;
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
const REQUEST: [&str; 6] = ["messages", "input", "prompt", "prediction", "instructions", "system"];
/// More members that hold texts in messages and items of a request: of documents, and what tools have done.
const IN_REQUEST: [&str; 11] = [
    "title",
    "context",
    "cited_text",
    "document_title",
    "query",
    "queries",
    "code",
    "logs",
    "lines",
    "stdout",
    "stderr",
];
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
    /// A document: as it is, unless it is a file in base64.
    Document,
}

/// Whether a string of a request is a text.
#[must_use]
pub fn of_request(path: &[Step<'_>]) -> Option<Form> {
    match path {
        [Step::Key("suffix")] | [Step::Key("messages"), Step::Index(_), Step::Key("name")] => {
            Some(Form::Plain)
        }
        // Their names are anything.
        [Step::Key(prompt), Step::Key(variables), Step::Key(_)]
            if is(prompt, "prompt") && is(variables, "variables") =>
        {
            Some(Form::Plain)
        }
        // What a tool of the provider's is called with.
        [Step::Key("input"), Step::Index(_), Step::Key("action" | "operation"), .., last] => {
            (*last != Step::Key("type")).then_some(Form::Plain)
        }
        _ => form(path, &REQUEST).or_else(|| more_in_request(path)),
    }
}

fn is(key: &str, name: &str) -> bool {
    key == name || is_veiled(key)
}

fn more_in_request(path: &[Step<'_>]) -> Option<Form> {
    let [Step::Key(first), ..] = path else { return None };
    if !matches!(*first, "messages" | "input" | "system") && !is_veiled(first) {
        return None;
    }
    if path.ends_with(&[Step::Key("source"), Step::Key("data")]) {
        return Some(Form::Document);
    }
    let last = path.iter().rev().find_map(|it| match it {
        Step::Key(key) => Some(*key),
        Step::Index(_) => None,
    })?;
    IN_REQUEST.contains(&last).then_some(Form::Plain)
}

/// Whether a document is a file in base64 (RFC 4648), which has no texts to be looked at. What is shorter than any file
/// is none.
#[must_use]
pub fn is_file(document: &str) -> bool {
    let is_base64 = |it: u8| it.is_ascii_alphanumeric() || b"+/=-_\r\n".contains(&it);
    document.len() >= FILE_BYTES && document.bytes().all(is_base64)
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
    // What a tool is called with is JSON of any shape.
    let is_in_tool = names.any(|it| it == "input") && path.len() > 2 && !is_responses_item(path);
    match last {
        "arguments" => Some(Form::Json),
        "signature" | "data" | "encrypted_content" | "id" | "type" if !is_in_tool => None,
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
                let text = decode(&json[range]).unwrap();
                if form != Form::Document || !is_file(&text) {
                    found.push(format!("{mark}{text}"));
                }
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
            {"type":"image","source":{"data":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==","media_type":"no"}}]}],"tools":[{"name":"no","description":"no"}]}"#;
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
    fn texts_lie_in_variables_predictions_documents_and_what_tools_have_done() {
        let prompt = r#"{"prompt":{"id":"no","version":"no","variables":{"id":"a","q":"b","c":{"type":"input_text","text":"c"},
            "i":{"type":"input_image","image_url":"no"}}},"input":"d"}"#;
        assert_eq!(texts(prompt, of_request), "a b c d");
        let veiled = r#"{"pr\u006fmpt":{"vari\u0061bles":{"q":"a"}}}"#;
        assert_eq!(texts(veiled, of_request), "a");
        let chat = r#"{"prediction":{"type":"content","content":[{"type":"text","text":"a"}]},"messages":[{"role":"user","name":"b",
            "content":"c"},{"tool_calls":[{"type":"custom","custom":{"name":"no","input":"d"}}]}],"user":"no","metadata":{"x":"no"}}"#;
        assert_eq!(texts(chat, of_request), "a b c d");
        let text = r#"{"prediction":{"type":"content","content":"a"},"prompt":"b","suffix":"c"}"#;
        assert_eq!(texts(text, of_request), "a b c");
        let messages = r#"{"messages":[{"content":[{"type":"document","source":{"type":"text","media_type":"no","data":"a"},"title":"b",
            "context":"c"},{"type":"document","source":{"type":"content","content":[{"type":"text","text":"d"}]}},
            {"type":"tool_use","id":"no","input":{"id":"e","type":"f","data":"g"}},
            {"type":"search_result","source":"no","title":"h","content":[{"type":"text","text":"i","citations":[{"type":"no","cited_text":"j"}]}]},
            {"type":"bash_code_execution_tool_result","content":{"type":"no","stdout":"k","stderr":"l"}}]}]}"#;
        assert_eq!(texts(messages, of_request), "a b c d e f g h i j k l");
        let items = r#"{"input":[{"type":"function_call_output","output":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"no"}]},
            {"type":"custom_tool_call","name":"no","input":"b"},{"type":"custom_tool_call_output","output":"c"},
            {"type":"local_shell_call","id":"no","action":{"type":"exec","command":["d"],"env":{"X":"e"}}},
            {"type":"shell_call_output","output":[{"stdout":"f","outcome":{"type":"exit"}}]},
            {"type":"web_search_call","action":{"type":"search","query":"g"}},{"type":"file_search_call","queries":["h"],"results":[{"text":"i"}]},
            {"type":"code_interpreter_call","code":"j","outputs":[{"type":"logs","logs":"k"}]},
            {"type":"apply_patch_call","operation":{"type":"no","diff":"l"}}]}"#;
        assert_eq!(texts(items, of_request), "a b c d e f g h i j k l");
    }

    #[test]
    fn a_file_is_told_from_a_document_by_its_letters() {
        assert!(is_file(&"aB3+/w==\r\n".repeat(10)));
        assert!(!is_file(&"ann@home.example".repeat(10)));
        assert!(!is_file("4111111111111111"));
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

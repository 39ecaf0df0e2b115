//! What an answer says: its text, and whether the model refuses. Of whole answers and of streams. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::gateway::guard::schema;
use crate::provider::Operation;

/// Words of a text that are compared.
const WORDS_MAX: usize = 4000;

/// What an answer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Its texts, one after the other.
    pub(super) text: String,
    /// Whether the model, or its provider, refuses to answer.
    pub(super) is_refusal: bool,
}

/// Reads an answer, whole or as the events of a stream.
pub(super) fn read(operation: Operation, body: &[u8]) -> Said {
    match serde_json::from_slice::<Value>(body) {
        Ok(answer) => of_whole(operation, &answer),
        Err(_) => of_stream(operation, &String::from_utf8_lossy(body)),
    }
}

fn of_whole(operation: Operation, answer: &Value) -> Said {
    let text = schema::texts_of(operation, answer).join("\n");
    Said { text, is_refusal: refuses(answer) }
}

fn of_stream(operation: Operation, text: &str) -> Said {
    let mut said = Said::default();
    for line in text.lines() {
        let Some(data) = line.strip_prefix("data:") else { continue };
        let Ok(event) = serde_json::from_str::<Value>(data.trim()) else { continue };
        said.is_refusal |= refuses(&event);
        said.text.push_str(&piece(operation, &event));
    }
    said
}

/// The piece of the answer's text in an event.
fn piece(operation: Operation, event: &Value) -> String {
    let text = |it: Option<&Value>| it.and_then(Value::as_str).unwrap_or_default().to_owned();
    match operation {
        Operation::ChatCompletions | Operation::Completions => {
            let choices = event.get("choices").and_then(Value::as_array);
            let said = |it: &Value| text(it.pointer("/delta/content")) + &text(it.get("text"));
            choices.into_iter().flatten().map(said).collect()
        }
        Operation::Messages => text(event.pointer("/delta/text")),
        Operation::Responses => {
            let is_text = event.get("type").is_some_and(|it| it == "response.output_text.delta");
            if is_text { text(event.get("delta")) } else { String::new() }
        }
        Operation::Embeddings | Operation::Moderations | Operation::CountTokens => String::new(),
    }
}

/// `refusal` and `finish_reason: content_filter` of OpenAI, `stop_reason: refusal` of Anthropic.
fn refuses(answer: &Value) -> bool {
    let says = |it: Option<&Value>| it.and_then(Value::as_str).is_some_and(|it| !it.is_empty());
    let choices = answer.get("choices").and_then(Value::as_array).into_iter().flatten();
    let by_choice = choices.into_iter().any(|it| {
        says(it.pointer("/message/refusal"))
            || says(it.pointer("/delta/refusal"))
            || it.get("finish_reason").is_some_and(|it| it == "content_filter")
    });
    let by_stop = [answer.get("stop_reason"), answer.pointer("/delta/stop_reason")];
    let by_stop = by_stop.into_iter().flatten().any(|it| it == "refusal");
    let kind = answer.get("type").and_then(Value::as_str).unwrap_or_default();
    let items = answer.get("output").and_then(Value::as_array).into_iter().flatten();
    let contents = items.filter_map(|it| it.get("content").and_then(Value::as_array));
    let by_item = contents.flatten().any(|it| it.get("type").is_some_and(|it| it == "refusal"));
    by_choice || by_stop || by_item || kind.starts_with("response.refusal.")
}

/// How much two texts have in common, from 0 to 1: the F1 of their words (ROUGE-1), where a word is a run of letters
/// and digits in lower case, and counts as often as it stands there. Two texts without words are equal.
pub(super) fn similarity(one: &str, other: &str) -> f64 {
    let (one, other) = (words(one), words(other));
    let count = |it: &BTreeMap<String, u32>| f64::from(it.values().sum::<u32>());
    if one.is_empty() && other.is_empty() {
        return 1.0;
    }
    let total = count(&one) + count(&other);
    let common = one.iter().map(|(word, it)| (*it).min(other.get(word).copied().unwrap_or(0)));
    2.0 * f64::from(common.sum::<u32>()) / total
}

fn words(text: &str) -> BTreeMap<String, u32> {
    let mut words = BTreeMap::new();
    let found = text.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty());
    for word in found.take(WORDS_MAX) {
        *words.entry(word.to_lowercase()).or_default() += 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_as_similar_as_they_have_words_in_common() {
        let check = |one, other| format!("{:.3}", similarity(one, other));
        assert_eq!(check("The cat sat.", "the CAT sat"), "1.000");
        assert_eq!(check("the cat sat", "the cat ran"), "0.667");
        assert_eq!(check("the the the", "the"), "0.500");
        assert_eq!(check("yes", "no"), "0.000");
        assert_eq!(check("", " . "), "1.000");
        assert_eq!(check("", "word"), "0.000");
    }

    #[test]
    fn a_stream_says_what_a_whole_answer_says() {
        let chat = Operation::ChatCompletions;
        let whole = r#"{"choices":[{"message":{"content":"Hello there"},"finish_reason":"stop"}]}"#;
        let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"Hello \"}}]}\n\n\
            data: {\"choices\":[{\"delta\":{\"content\":\"there\"}}]}\n\ndata: [DONE]\n\n";
        let said = Said { text: "Hello there".to_owned(), is_refusal: false };
        assert_eq!(read(chat, whole.as_bytes()), said);
        assert_eq!(read(chat, stream.as_bytes()), said);
        let events = "event: content_block_delta\n\
            data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello there\"}}\n\n";
        assert_eq!(read(Operation::Messages, events.as_bytes()), said);
        let event = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello there\"}\n\n";
        assert_eq!(read(Operation::Responses, event.as_bytes()), said);
    }

    #[test]
    fn a_refusal_is_what_the_vendors_call_one() {
        let refuses = |text: &str| read(Operation::ChatCompletions, text.as_bytes()).is_refusal;
        assert!(refuses(r#"{"choices":[{"message":{"refusal":"I will not"}}]}"#));
        assert!(refuses(r#"{"choices":[{"message":{},"finish_reason":"content_filter"}]}"#));
        assert!(refuses(r#"{"stop_reason":"refusal","content":[]}"#));
        assert!(refuses(r#"{"output":[{"content":[{"type":"refusal","refusal":"no"}]}]}"#));
        assert!(!refuses(r#"{"choices":[{"message":{"refusal":null,"content":"I can not"}}]}"#));
    }
}

//! Embeddings are kept for each text of a batch: the batch is split into what is known and what is not,
//! and the answer is joined in the order of the request. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::kept::{Content, Kept};
use crate::gateway::cassette::canonical;
use crate::provider::estimate;
use crate::provider::splice::Edits;

/// The texts of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The request without its texts, in one form.
    pub rest: Vec<u8>,
    /// The texts, as JSON in one form.
    pub items: Vec<String>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    input: &'a RawValue,
}

impl Batch {
    /// Of a request; `None` when it is not understood, and then it goes out as it is.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let read: Body<'_> = serde_json::from_slice(body).ok()?;
        let input: Value = serde_json::from_str(read.input.get()).ok()?;
        let is_tokens = |it: &Value| it.as_array().is_some_and(|it| it.iter().all(Value::is_u64));
        let is_item = |it: &Value| it.is_string() || is_tokens(it);
        let list = input.as_array().filter(|it| !is_tokens(&input) && it.iter().all(is_item));
        let items = match list {
            Some(list) => list.iter().map(canonical::text).collect(),
            None if is_item(&input) => vec![canonical::text(&input)],
            None => return None,
        };
        let rest = with_input(body, "null")?;
        Some(Self { rest, items })
    }

    /// The request for these places only, each text once; and which of its texts belongs to each place.
    #[must_use]
    pub fn request_of(&self, places: &[usize]) -> Option<(Vec<u8>, Vec<usize>)> {
        let mut texts: Vec<&str> = Vec::new();
        let mut order = Vec::with_capacity(places.len());
        for place in places {
            let text = self.items.get(*place)?.as_str();
            let at = texts.iter().position(|it| *it == text).unwrap_or_else(|| {
                texts.push(text);
                texts.len() - 1
            });
            order.push(at);
        }
        Some((with_input(&self.rest, &format!("[{}]", texts.join(",")))?, order))
    }
}

fn with_input(body: &[u8], input: &str) -> Option<Vec<u8>> {
    let read: Body<'_> = serde_json::from_slice(body).ok()?;
    let mut edits = Edits::default();
    edits.replace(body, read.input.get(), input.to_owned());
    edits.apply(body)
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Vec<Part<'a>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    usage: Option<AnswerUsage>,
}

#[derive(Deserialize)]
struct Part<'a> {
    index: usize,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

#[derive(Deserialize)]
struct AnswerUsage {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

/// The parts of an answer to so many texts, each with its share of the tokens; `None` when one is
/// missing, no vector, or there twice.
#[must_use]
pub fn parts(answer: &[u8], texts: &[&str]) -> Option<Vec<Kept>> {
    let answer: Answer<'_> = serde_json::from_slice(answer).ok()?;
    let usage = answer.usage.and_then(|it| it.prompt_tokens.or(it.total_tokens)).unwrap_or(0);
    let shares = shares(usage, texts);
    let mut parts: Vec<Option<Kept>> = vec![None; texts.len()];
    for part in &answer.data {
        // A list of numbers, or their bytes in base64.
        let embedding = Some(part.embedding.get()).filter(|it| it.starts_with(['[', '"']))?;
        let embedding = Bytes::copy_from_slice(embedding.as_bytes());
        let kept = Kept {
            model: answer.model.as_deref().map(ToOwned::to_owned),
            tokens: shares.get(part.index).copied()?,
            content: Content::Whole(embedding),
            ..Kept::json(Bytes::new())
        };
        if parts.get_mut(part.index)?.replace(kept).is_some() {
            return None;
        }
    }
    parts.into_iter().collect()
}

/// The tokens of a batch, shared by the size of its texts; their sum is the whole.
fn shares(total: u64, texts: &[&str]) -> Vec<u64> {
    let sizes: Vec<_> = texts.iter().map(|it| estimate::of_json(it.as_bytes()).max(1)).collect();
    let sum: u128 = sizes.iter().map(|it| u128::from(*it)).sum();
    let (mut before, mut given) = (0_u128, 0_u64);
    let share = |size: u64| {
        before += u128::from(size);
        let until = u128::from(total) * before / sum.max(1);
        let until = u64::try_from(until).unwrap_or(u64::MAX);
        let share = until.saturating_sub(given);
        given = until;
        share
    };
    sizes.into_iter().map(share).collect()
}

/// The answer that these parts make.
#[must_use]
pub fn join(parts: &[&Kept], asked_model: &str) -> Bytes {
    let size = parts.iter().map(|it| it.size()).sum();
    let mut out = String::with_capacity(size);
    out.push_str(r#"{"object":"list","data":["#);
    for (index, part) in parts.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let Content::Whole(embedding) = &part.content else { continue };
        let embedding = std::str::from_utf8(embedding).unwrap_or("null");
        let _ = write!(
            out,
            r#"{comma}{{"object":"embedding","index":{index},"embedding":{embedding}}}"#
        );
    }
    let model = parts.iter().find_map(|it| it.model.as_deref()).unwrap_or(asked_model);
    let tokens: u64 = parts.iter().map(|it| it.tokens).fold(0, u64::saturating_add);
    let _ = write!(
        out,
        r#"],"model":{},"usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}}}"#,
        Value::from(model)
    );
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_a_list_and_tokens_are_read_and_anything_else_goes_out_as_it_is() {
        let items = |input: &str| {
            let body = format!(r#"{{"model":"m", "input": {input} ,"dimensions":8}}"#);
            Batch::read(body.as_bytes()).map(|it| it.items)
        };
        assert_eq!(items(r#""a\u0062""#), Some(vec![r#""ab""#.to_owned()]));
        assert_eq!(items("[1, 2]"), Some(vec!["[1,2]".to_owned()]));
        assert_eq!(items(r#"["a", [1,2]]"#), Some(vec![r#""a""#.to_owned(), "[1,2]".to_owned()]));
        assert_eq!(items(r#"[{"image":"x"}]"#), None);
        assert_eq!(items("7"), None);
    }

    #[test]
    fn only_what_is_not_known_is_asked_for_and_each_text_once() {
        let body = br#"{"model":"m","input":["a","b","a","c"],"user":"u"}"#;
        let batch = Batch::read(body).unwrap();
        let (request, order) = batch.request_of(&[0, 2, 3]).unwrap();
        let request = String::from_utf8(request).unwrap();
        assert_eq!(request, r#"{"model":"m","input":["a","c"],"user":"u"}"#);
        assert_eq!(order, [0, 0, 1]);
    }

    #[test]
    fn an_answer_with_a_hole_or_a_part_twice_is_not_taken_apart() {
        let part = |index: usize| format!(r#"{{"index":{index},"embedding":[{index}.5]}}"#);
        let check = |list: &[usize]| {
            let list: Vec<_> = list.iter().map(|it| part(*it)).collect();
            let answer = format!(r#"{{"data":[{}],"model":"m"}}"#, list.join(","));
            parts(answer.as_bytes(), &["\"a\"", "\"b\""]).is_some()
        };
        assert!(check(&[1, 0]));
        assert!(!check(&[0]) && !check(&[0, 0]) && !check(&[0, 2]) && !check(&[0, 1, 1]));
        let of = |vector: &str| {
            let answer = format!(r#"{{"data":[{{"index":0,"embedding":{vector}}}]}}"#);
            parts(answer.as_bytes(), &["\"a\""]).is_some()
        };
        assert!(of("[0.5]") && of("\"AAAA\"") && !of("null") && !of("{}"));
    }

    fn provider(request: &[u8]) -> Vec<u8> {
        let batch = Batch::read(request).unwrap();
        let part = |(index, text): (usize, &String)| {
            format!(
                r#"{{"object":"embedding","index":{index},"embedding":{}}}"#,
                Value::from(&**text)
            )
        };
        let mut data: Vec<_> = batch.items.iter().enumerate().map(part).collect();
        data.reverse();
        let tokens = batch.items.iter().map(String::len).sum::<usize>();
        format!(
            r#"{{"data":[{}],"model":"m-1","usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}}}"#,
            data.join(",")
        )
        .into_bytes()
    }

    proptest! {
        #[test]
        fn whatever_is_known_the_joined_answer_has_each_text_at_its_place(
            texts in proptest::collection::vec("[a-c]{0,2}", 1..12),
            known in proptest::collection::vec(any::<bool>(), 12),
        ) {
            let body = serde_json::json!({"model": "m", "input": texts}).to_string();
            let batch = Batch::read(body.as_bytes()).unwrap();
            let places: Vec<_> = (0..texts.len()).filter(|it| !known[*it]).collect();
            let mut found: Vec<Option<Kept>> = batch.items.iter().map(|it| {
                let content = Content::Whole(Bytes::from(Value::from(it.as_str()).to_string()));
                Some(Kept { content, tokens: 1, ..Kept::json(Bytes::new()) })
            }).collect();
            if !places.is_empty() {
                let (request, order) = batch.request_of(&places).unwrap();
                let sent = Batch::read(&request).unwrap();
                let sent: Vec<_> = sent.items.iter().map(String::as_str).collect();
                let fresh = parts(&provider(&request), &sent).unwrap();
                let tokens: u64 = fresh.iter().map(|it| it.tokens).sum();
                prop_assert_eq!(tokens, sent.iter().map(|it| it.len() as u64).sum::<u64>());
                for (place, at) in places.iter().zip(order) {
                    found[*place] = Some(fresh[at].clone());
                }
            }
            let found: Vec<_> = found.iter().flatten().collect();
            let joined: Value = serde_json::from_slice(&join(&found, "m")).unwrap();
            for (index, text) in batch.items.iter().enumerate() {
                prop_assert_eq!(&joined["data"][index]["embedding"], &Value::from(text.as_str()));
                prop_assert_eq!(&joined["data"][index]["index"], &Value::from(index));
            }
        }
    }
}

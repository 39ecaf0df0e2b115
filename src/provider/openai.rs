//! The wire format of `OpenAI`: chat completions, completions, responses, embeddings, moderations.
//! <https://platform.openai.com/docs/api-reference>, read 2026-11.

pub mod count;
pub mod usage;
pub mod stream;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::splice::Edits;
use super::{Asked, Changes, Operation, Unreadable};
use count::Count;

/// What moderates when the request does not say it.
const MODERATION: &str = "omni-moderation-latest";
/// Its answer comes by a way that is not served here, and what it costs is never said.
const BACKGROUND: &str = "`background` is not served, for nobody could meter its answer; leave it out, or submit the call to the gateway's \
                          queue (`POST /v1/queue`), which makes it later";

/// The members that matter. A member that is there twice is refused, because parsers differ in which
/// of the two they believe.
#[derive(Debug, Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    stream: Option<bool>,
    #[serde(borrow)]
    stream_options: Option<&'a RawValue>,
    max_tokens: Option<Count>,
    max_completion_tokens: Option<Count>,
    max_output_tokens: Option<Count>,
    n: Option<Count>,
    best_of: Option<Count>,
    temperature: Option<f64>,
    #[serde(borrow)]
    seed: Option<&'a RawValue>,
    #[serde(borrow)]
    service_tier: Option<Cow<'a, str>>,
    #[serde(borrow)]
    previous_response_id: Option<&'a RawValue>,
    #[serde(borrow)]
    conversation: Option<&'a RawValue>,
    #[serde(borrow)]
    background: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
}

/// Where the values lie that may be replaced.
#[derive(Debug, Deserialize)]
struct Places<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_output_tokens: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    include_usage: Option<&'a RawValue>,
}

impl StreamOptions<'_> {
    fn wants_usage(&self) -> bool {
        self.include_usage.is_some_and(|it| it.get() == "true")
    }
}

/// Reads what a request asks for.
pub fn read_request(operation: Operation, body: &[u8]) -> Result<Asked<'_>, Unreadable> {
    let body: Body<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    let options = body.stream_options.map(stream_options).transpose()?.flatten();
    let is_responses = operation == Operation::Responses;
    let prompts = body.prompt.filter(|_| operation == Operation::Completions);
    let prompts = prompts.map_or(1, prompts_in);
    let answers = body.n.max(body.best_of).map_or(1, |it| it.0).max(1);
    if is_responses && body.background.is_some_and(|it| it.get() == "true") {
        return Err(Unreadable(BACKGROUND.to_owned()));
    }
    let model = match body.model {
        Some(model) => model,
        None if operation == Operation::Moderations => Cow::Borrowed(MODERATION),
        None => return Err(Unreadable("missing field `model`".to_owned())),
    };
    Ok(Asked {
        model,
        is_stream: body.stream.unwrap_or(false),
        wants_usage: is_responses || options.is_some_and(|it| it.wants_usage()),
        max_output: max_output(
            operation,
            [body.max_tokens, body.max_completion_tokens, body.max_output_tokens]
                .map(|it| it.map(|it| it.0)),
        ),
        thinking: None,
        answers: answers.saturating_mul(prompts),
        temperature: body.temperature,
        has_seed: body.seed.is_some(),
        has_server_state: is_given(body.previous_response_id)
            || is_given(body.conversation)
            || (is_responses && body.prompt.is_some_and(is_kept_prompt)),
        service_tier: body.service_tier,
    })
}

/// The request with the changes.
pub fn rewrite_request(
    operation: Operation,
    body: &[u8],
    changes: &Changes<'_>,
) -> Result<Option<Vec<u8>>, Unreadable> {
    if *changes == Changes::default() {
        return Ok(None);
    }
    let whole = std::str::from_utf8(body).map_err(|it| Unreadable(it.to_string()))?;
    let places: Places<'_> = serde_json::from_str(whole).map_err(unreadable)?;
    let mut edits = Edits::default();
    match (changes.model, places.model) {
        (Some(name), Some(place)) => edits.replace(body, place.get(), quoted(name)),
        (Some(name), None) => edits.insert_first(body, whole, "model", &quoted(name)),
        (None, _) => {}
    }
    if changes.ask_for_usage {
        ask_for_usage(&mut edits, body, whole, places.stream_options)?;
    }
    if let Some(limit) = changes.max_output {
        let (name, given) = if operation == Operation::Responses {
            ("max_output_tokens", [places.max_output_tokens, None])
        } else if operation == Operation::Completions {
            ("max_tokens", [places.max_tokens, None])
        } else {
            ("max_completion_tokens", [places.max_completion_tokens, places.max_tokens])
        };
        let mut given = given.into_iter().flatten().peekable();
        if given.peek().is_none() {
            edits.insert_first(body, whole, name, &limit.to_string());
        }
        given.for_each(|place| edits.replace(body, place.get(), limit.to_string()));
    }
    Ok(edits.apply(body))
}

fn ask_for_usage(
    edits: &mut Edits,
    body: &[u8],
    whole: &str,
    options: Option<&RawValue>,
) -> Result<(), Unreadable> {
    let Some(options) = options else {
        edits.insert_first(body, whole, "stream_options", r#"{"include_usage":true}"#);
        return Ok(());
    };
    match stream_options(options)? {
        None => edits.replace(body, options.get(), r#"{"include_usage":true}"#.to_owned()),
        Some(StreamOptions { include_usage: None }) => {
            edits.insert_first(body, options.get(), "include_usage", "true");
        }
        Some(StreamOptions { include_usage: Some(value) }) => {
            edits.replace(body, value.get(), "true".to_owned());
        }
    }
    Ok(())
}

/// The options, unless they are `null`.
fn stream_options(value: &RawValue) -> Result<Option<StreamOptions<'_>>, Unreadable> {
    serde_json::from_str(value.get()).map_err(unreadable)
}

/// A request may give more than one name of the same limit, and which one a server obeys is its
/// matter: the largest one counts.
fn max_output(operation: Operation, given: [Option<u64>; 3]) -> Option<u64> {
    let [old, new, responses] = given;
    if operation == Operation::Responses {
        responses
    } else if operation == Operation::Completions {
        old
    } else {
        old.max(new)
    }
}

/// How many prompts the `prompt` of a completion has: a text or a list of tokens is one.
fn prompts_in(prompt: &RawValue) -> u64 {
    let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(prompt.get()) else { return 1 };
    let is_tokens = list.iter().all(|it| it.get().starts_with(|it: char| it.is_ascii_digit()));
    if is_tokens { 1 } else { list.len() as u64 }
}

/// A member that is there, be it `null`: where it is, nothing may be put in a second time.
pub(super) fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Whether a prompt is one that the provider keeps, and of which the request has the id.
fn is_kept_prompt(prompt: &RawValue) -> bool {
    prompt.get().starts_with('{')
}

fn is_given(value: Option<&RawValue>) -> bool {
    value.is_some_and(|it| it.get() != "null")
}

pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn unreadable(error: serde_json::Error) -> Unreadable {
    Unreadable(error.to_string())
}

#[cfg(test)]
mod tests;

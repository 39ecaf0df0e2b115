//! The wire format of Anthropic: messages and their token count.
//! <https://docs.anthropic.com/en/api/messages>, read 2026-11.

pub mod usage;
pub mod stream;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::openai::count::Count;
use super::openai::{present, quoted, unreadable};
use super::splice::Edits;
use super::{Asked, Changes, Unreadable};

#[derive(Debug, Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    stream: Option<bool>,
    max_tokens: Option<Count>,
    temperature: Option<f64>,
    #[serde(borrow)]
    service_tier: Option<Cow<'a, str>>,
    #[serde(borrow)]
    container: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Thinking {
    budget_tokens: Option<Count>,
}

#[derive(Debug, Deserialize)]
struct Places<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_tokens: Option<&'a RawValue>,
}

/// Reads what a request asks for.
pub fn read_request(body: &[u8]) -> Result<Asked<'_>, Unreadable> {
    let body: Body<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    Ok(Asked {
        model: body.model,
        is_stream: body.stream.unwrap_or(false),
        wants_usage: true,
        max_output: body.max_tokens.map(|it| it.0),
        thinking: body.thinking.and_then(thinking),
        answers: 1,
        temperature: body.temperature,
        has_seed: false,
        has_server_state: body.container.is_some_and(|it| it.get() != "null"),
        service_tier: body.service_tier,
    })
}

/// What is written otherwise is the provider's to refuse.
fn thinking(asked: &RawValue) -> Option<u64> {
    let thinking = serde_json::from_str::<Thinking>(asked.get()).ok()?;
    thinking.budget_tokens.map(|it| it.0)
}

/// The request with the changes. Usage need not be asked for here: every stream has it.
pub fn rewrite_request(body: &[u8], changes: &Changes<'_>) -> Result<Option<Vec<u8>>, Unreadable> {
    if changes.model.is_none() && changes.max_output.is_none() {
        return Ok(None);
    }
    let places: Places<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    let whole = std::str::from_utf8(body).map_err(|it| Unreadable(it.to_string()))?;
    let mut edits = Edits::default();
    if let (Some(name), Some(place)) = (changes.model, places.model) {
        edits.replace(body, place.get(), quoted(name));
    }
    match (changes.max_output, places.max_tokens) {
        (Some(limit), Some(place)) => edits.replace(body, place.get(), limit.to_string()),
        (Some(limit), None) => edits.insert_first(body, whole, "max_tokens", &limit.to_string()),
        (None, _) => {}
    }
    Ok(edits.apply(body))
}

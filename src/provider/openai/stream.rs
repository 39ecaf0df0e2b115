//! The events of streams in `OpenAI`'s format.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::Metered;
use super::super::said::word;
use super::super::stream::{Fate, Notes, Seen};
use super::usage::{Answer, RawUsage};
use crate::model::UsageClass as Class;

/// A chunk of a chat completion or a completion.
#[derive(Debug, Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

impl Choice<'_> {
    fn tokens(&self, notes: &mut Notes) -> u64 {
        let said = [self.delta, self.text].into_iter().flatten();
        said.map(|it| notes.hear(it)).sum()
    }
}

/// Reads a chunk of a chat completion or a completion: the last usage that is not null counts.
pub(in super::super) fn read_chunk(data: &[u8], notes: &mut Notes) -> Seen {
    if data == b"[DONE]" {
        return Seen { fate: Fate::Ended, ..Seen::default() };
    }
    let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else { return Seen::malformed() };
    let choices = chunk.choices.unwrap_or_default();
    let finished = |it: &Choice<'_>| it.finish_reason.is_some_and(|it| it.get() != "null");
    notes.named.note_model(chunk.model);
    notes.named.note_tier(chunk.service_tier);
    let said = &mut notes.said;
    said.named(chunk.id);
    for choice in &choices {
        if let Some(delta) = choice.delta {
            said.read_delta(delta);
        }
        if let Some(why) = choice.finish_reason.and_then(word) {
            said.finished(why);
        }
    }
    let metered = chunk
        .usage
        .and_then(RawUsage::read)
        .map(|it| Metered { usage: it.usage().with(Class::Requests, 1), ..Metered::default() });
    Seen {
        is_usage_alone: metered.is_some() && choices.is_empty(),
        has_content: !choices.is_empty(),
        tokens: choices.iter().map(|it| it.tokens(notes)).sum(),
        fate: match chunk.error {
            Some(error) if error.get() != "null" => Fate::Failed,
            _ if choices.iter().any(finished) => Fate::Finished,
            _ => Fate::Open,
        },
        metered,
    }
}

/// An event of a response.
#[derive(Debug, Deserialize)]
struct ResponseEvent<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
}

/// Reads an event of a response: the usage is in the last one. That ends the answer, be its `response` readable or not.
pub(in super::super) fn read_response_event(data: &[u8], notes: &mut Notes) -> Seen {
    let Ok(event) = serde_json::from_slice::<ResponseEvent<'_>>(data) else {
        return Seen::malformed();
    };
    let fate = match &*event.kind {
        "response.completed" | "response.incomplete" => Fate::Ended,
        "response.failed" | "error" => Fate::Failed,
        _ => Fate::Open,
    };
    let item = event.item.filter(|_| &*event.kind == "response.output_item.done");
    if let Some(item) = item {
        notes.said.read_block(item);
    }
    let response = event.response.and_then(|it| serde_json::from_str::<Answer<'_>>(it.get()).ok());
    if let Some(response) = &response {
        response.tell(&mut notes.said, fate == Fate::Ended);
        response.name(&mut notes.named);
    }
    Seen {
        metered: response.and_then(|it| Some(it.metered(&it.told()?))),
        is_usage_alone: false,
        has_content: event.delta.is_some(),
        tokens: event.delta.map_or(0, |it| notes.hear(it)),
        fate,
    }
}

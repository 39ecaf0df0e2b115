//! The events of streams in Anthropic's format.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::stream::{Fate, Notes, Seen};
use super::usage::{RawUsage, Running};

#[derive(Debug, Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    usage: Option<RawUsage>,
}

#[derive(Debug, Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    usage: Option<RawUsage>,
}

/// Reads one event into the running use of its stream.
pub(in super::super) fn read_event(
    data: &[u8],
    (running, notes): (&mut Running, &mut Notes),
) -> Seen {
    let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else { return Seen::malformed() };
    let mut seen = Seen::default();
    match &*event.kind {
        "message_start" => {
            let message = event.message.unwrap_or(Message { id: None, model: None, usage: None });
            notes.said.named(message.id);
            let model = message.model.map(Cow::into_owned);
            running.start(model, message.usage.unwrap_or_default());
            seen.metered = Some(running.metered());
        }
        "message_delta" => {
            running.replace(event.usage.unwrap_or_default());
            if let Some(why) = event.delta.and_then(stop_reason) {
                notes.said.finished(&why);
            }
            seen.metered = Some(running.metered());
        }
        "content_block_start" => {
            if let Some(block) = event.content_block {
                notes.said.read_block(block);
            }
        }
        "content_block_delta" => {
            seen.has_content = true;
            seen.tokens = event.delta.map_or(0, |it| notes.hear(it));
        }
        "message_stop" => {
            running.stop();
            seen.fate = Fate::Ended;
        }
        "error" => seen.fate = Fate::Failed,
        _ => {}
    }
    seen
}

fn stop_reason(delta: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Delta {
        stop_reason: Option<String>,
    }
    serde_json::from_str::<Delta>(delta.get()).ok()?.stop_reason
}

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
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
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
            let message = event.message.map(RawValue::get);
            let message = message.and_then(|it| serde_json::from_str::<Message<'_>>(it).ok());
            let message = message.unwrap_or_default();
            notes.said.named(message.id);
            notes.named.note_model(message.model);
            notes.named.note_use(message.usage);
            running.start(message.usage.and_then(RawUsage::read).unwrap_or_default());
            seen.metered = Some(running.metered());
        }
        "message_delta" => {
            notes.named.note_use(event.usage);
            running.replace(event.usage.and_then(RawUsage::read).unwrap_or_default());
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

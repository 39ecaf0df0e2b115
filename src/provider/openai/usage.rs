//! What an answer in `OpenAI`'s format used. Cached, reasoning and audio tokens are *part of* the
//! totals here, so they are taken out of them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::said::named::Named;
use super::super::said::{Said, word};
use super::super::{Metered, Operation};
use super::count::Count;
use crate::model::{Usage, UsageClass as Class};

/// The `usage` of every kind of answer: chat says `prompt` and `completion`, responses say `input` and
/// `output`, and some compatible servers say both.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawUsage {
    prompt_tokens: Option<Count>,
    input_tokens: Option<Count>,
    completion_tokens: Option<Count>,
    output_tokens: Option<Count>,
    total_tokens: Option<Count>,
    prompt_tokens_details: Option<InputDetails>,
    input_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    output_tokens_details: Option<OutputDetails>,
    cached_tokens: Option<Count>,
    prompt_cache_hit_tokens: Option<Count>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the wire calls them so")]
struct InputDetails {
    cached_tokens: Option<Count>,
    cache_write_tokens: Option<Count>,
    audio_tokens: Option<Count>,
    image_tokens: Option<Count>,
    video_tokens: Option<Count>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the wire calls them so")]
struct OutputDetails {
    reasoning_tokens: Option<Count>,
    audio_tokens: Option<Count>,
    image_tokens: Option<Count>,
}

impl RawUsage {
    /// What can be read, if it says anything. What cannot is as if it were not said.
    pub(super) fn read(usage: &RawValue) -> Option<Self> {
        serde_json::from_str::<Self>(usage.get()).ok().filter(Self::is_said)
    }

    /// Whether it says anything.
    fn is_said(&self) -> bool {
        let input = self.prompt_tokens.or(self.input_tokens);
        input.or(self.completion_tokens).or(self.output_tokens).or(self.total_tokens).is_some()
    }

    /// The tokens that went in and came out: one that is not said is the rest of the total.
    fn totals(&self) -> (u64, u64) {
        let (input, output) = (
            self.prompt_tokens.or(self.input_tokens),
            self.completion_tokens.or(self.output_tokens),
        );
        let rest = |of: u64| self.total_tokens.map_or(0, |it| it.0.saturating_sub(of));
        match (input, output) {
            (Some(input), Some(output)) => (input.0, output.0),
            (Some(input), None) => (input.0, rest(input.0)),
            (None, Some(output)) => (rest(output.0), output.0),
            (None, None) => (0, 0),
        }
    }

    /// In classes of which none is part of another.
    pub(super) fn usage(&self) -> Usage {
        let input = self.totals().0;
        let details = self.prompt_tokens_details.as_ref().or(self.input_tokens_details.as_ref());
        let part =
            |of: fn(&InputDetails) -> Option<Count>| details.and_then(of).unwrap_or_default().0;
        let cached = details.and_then(|it| it.cached_tokens);
        let cached = cached.or(self.cached_tokens).or(self.prompt_cache_hit_tokens);
        let mut usage = split(
            input,
            Class::Input,
            &[
                (Class::CacheRead, cached.unwrap_or_default().0),
                (Class::CacheWrite5m, part(|it| it.cache_write_tokens)),
                (Class::InputAudio, part(|it| it.audio_tokens)),
                (Class::InputImage, part(|it| it.image_tokens)),
                (Class::InputVideo, part(|it| it.video_tokens)),
            ],
        );
        usage.add(&self.output());
        usage
    }

    fn output(&self) -> Usage {
        let details =
            self.completion_tokens_details.as_ref().or(self.output_tokens_details.as_ref());
        let part =
            |of: fn(&OutputDetails) -> Option<Count>| details.and_then(of).unwrap_or_default().0;
        let reasoning = part(|it| it.reasoning_tokens);
        // Some servers (xAI) do not count reasoning in the completion. Their total gives them away.
        let (input, mut output) = self.totals();
        let sum = input.saturating_add(output).saturating_add(reasoning);
        if reasoning > 0 && self.total_tokens == Some(Count(sum)) {
            output = output.saturating_add(reasoning);
        }
        let parts = [
            (Class::Reasoning, reasoning),
            (Class::OutputAudio, part(|it| it.audio_tokens)),
            (Class::OutputImage, part(|it| it.image_tokens)),
        ];
        split(output, Class::Output, &parts)
    }
}

/// A total in parts; no part is more than what is left, so that the sum is always the total.
fn split(total: u64, rest: Class, parts: &[(Class, u64)]) -> Usage {
    let (mut usage, mut left) = (Usage::default(), total);
    for (class, count) in parts {
        let count = (*count).min(left);
        usage.set(*class, count);
        left -= count;
    }
    usage.with(rest, left)
}

/// An answer, or the `response` of a stream's last event.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    incomplete_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct OutputItem<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
}

impl Answer<'_> {
    /// Tells its id, and why it ended if it has.
    pub(super) fn tell(&self, said: &mut Said, has_ended: bool) {
        #[derive(Deserialize)]
        struct Incomplete<'a> {
            #[serde(borrow)]
            reason: &'a RawValue,
        }
        said.named(self.id);
        let early = self.incomplete_details.map(RawValue::get);
        let early = early.and_then(|it| serde_json::from_str::<Incomplete<'_>>(it).ok());
        let why = early.map(|it| it.reason).or(self.status);
        if let Some(why) = why.and_then(word).filter(|_| has_ended) {
            said.finished(why);
        }
    }

    /// Notes the model and the tier that it names.
    pub(super) fn name(&self, named: &mut Named) {
        named.note_model(self.model);
        named.note_tier(self.service_tier);
    }

    /// What it tells of its use.
    pub(super) fn told(&self) -> Option<RawUsage> {
        self.usage.and_then(RawUsage::read)
    }

    /// What it used, by its word.
    pub(super) fn metered(&self, told: &RawUsage) -> Metered {
        let mut usage = told.usage().with(Class::Requests, 1);
        let items = self.output.map(RawValue::get);
        let items = items.and_then(|it| serde_json::from_str::<Vec<OutputItem<'_>>>(it).ok());
        for item in items.iter().flatten() {
            let class = match item.kind.and_then(word) {
                Some("web_search_call") => Class::WebSearches,
                Some("file_search_call") => Class::FileSearches,
                Some("code_interpreter_call") => Class::CodeSessions,
                _ => continue,
            };
            usage.set(class, usage.get(class) + 1);
        }
        Metered { usage, ..Metered::default() }
    }
}

/// What an answer says of its use; `None` when it does not.
#[must_use]
pub fn of_answer(operation: Operation, body: &[u8]) -> Option<Metered> {
    if operation == Operation::Moderations {
        let usage = Usage::default().with(Class::Requests, 1);
        return Some(Metered { usage, ..Metered::default() });
    }
    let answer = serde_json::from_slice::<Answer<'_>>(body).ok()?;
    let told = answer.told()?;
    let (mut metered, mut named) = (answer.metered(&told), Named::default());
    answer.name(&mut named);
    if operation == Operation::Embeddings {
        // Some servers (Voyage) say the total alone.
        if metered.usage.input_tokens() == 0 {
            metered.usage.set(Class::Input, told.total_tokens.unwrap_or_default().0);
        }
        // Vectors are no tokens, whatever a compatible server counts.
        for class in Class::ALL.into_iter().filter(|it| it.is_output()) {
            metered.usage.set(class, 0);
        }
    }
    Some(metered.named(&named))
}

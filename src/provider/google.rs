//! Usage in Google's own format (`usageMetadata`), as gateways and recordings hand it on. Calls are
//! made in the compatible formats. <https://ai.google.dev/api/generate-content#UsageMetadata>, read 2026-11.

use serde::Deserialize;

use crate::model::{Usage, UsageClass as Class};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawUsage {
    prompt_token_count: u64,
    tool_use_prompt_token_count: u64,
    cached_content_token_count: u64,
    candidates_token_count: u64,
    thoughts_token_count: u64,
    prompt_tokens_details: Vec<Modality>,
    tool_use_prompt_tokens_details: Vec<Modality>,
    cache_tokens_details: Vec<Modality>,
    candidates_tokens_details: Vec<Modality>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Modality {
    modality: String,
    token_count: u64,
}

/// Reads `usageMetadata`. Thoughts are *added* to what came out, and so are prompts of tools to what
/// went in; cached tokens are part of it.
#[must_use]
pub fn read_usage(json: &[u8]) -> Option<Usage> {
    let raw: RawUsage = serde_json::from_slice(json).ok()?;
    let asked = [&raw.prompt_tokens_details, &raw.tool_use_prompt_tokens_details];
    let went_in = |name: &str| asked.iter().map(|it| of(it, name)).sum::<u64>();
    let cached_audio = of(&raw.cache_tokens_details, "AUDIO");
    let cached = raw.cached_content_token_count.saturating_sub(cached_audio);
    let fresh = |name: &str| went_in(name).saturating_sub(of(&raw.cache_tokens_details, name));
    let media = [
        (Class::InputAudio, fresh("AUDIO")),
        (Class::InputImage, fresh("IMAGE")),
        (Class::InputVideo, fresh("VIDEO")),
        (Class::CacheRead, cached),
        (Class::CacheReadAudio, cached_audio),
    ];
    let total = raw.prompt_token_count.saturating_add(raw.tool_use_prompt_token_count);
    let mut usage = Usage::default();
    let mut left = total;
    for (class, count) in media {
        let count = count.min(left);
        usage.set(class, count);
        left -= count;
    }
    usage.set(Class::Input, left);
    let audio = of(&raw.candidates_tokens_details, "AUDIO").min(raw.candidates_token_count);
    let text = raw.candidates_token_count - audio;
    let image = of(&raw.candidates_tokens_details, "IMAGE").min(text);
    usage.set(Class::OutputAudio, audio);
    usage.set(Class::OutputImage, image);
    usage.set(Class::Output, text - image);
    Some(usage.with(Class::Reasoning, raw.thoughts_token_count))
}

fn of(details: &[Modality], name: &str) -> u64 {
    details.iter().filter(|it| it.modality == name).map(|it| it.token_count).sum()
}

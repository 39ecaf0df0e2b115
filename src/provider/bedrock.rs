//! Usage in the format of Bedrock's `Converse`, as gateways and recordings hand it on.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>, read 2026-11.

use serde::Deserialize;

use crate::model::{Usage, UsageClass as Class};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the wire calls them so")]
struct RawUsage {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_input_tokens: u64,
    cache_write_input_tokens: u64,
}

/// Reads `usage`. Cached tokens are *added* to the input.
#[must_use]
pub fn read_usage(json: &[u8]) -> Option<Usage> {
    let raw: RawUsage = serde_json::from_slice(json).ok()?;
    let usage = Usage::default()
        .with(Class::Input, raw.input_tokens)
        .with(Class::CacheRead, raw.cache_read_input_tokens)
        .with(Class::CacheWrite5m, raw.cache_write_input_tokens)
        .with(Class::Output, raw.output_tokens);
    Some(usage)
}

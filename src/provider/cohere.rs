//! Usage in Cohere's own format, as gateways and recordings hand it on.
//! <https://docs.cohere.com/reference/chat>, read 2026-11.

use serde::Deserialize;

use crate::model::{Usage, UsageClass as Class};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawUsage {
    billed_units: Counts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the wire calls them so")]
struct Counts {
    input_tokens: f64,
    output_tokens: f64,
    image_tokens: f64,
}

/// Reads `usage` or `meta`: the units that are billed, and not the tokens that the model saw.
#[must_use]
pub fn read_usage(json: &[u8]) -> Option<Usage> {
    let RawUsage { billed_units: units } = serde_json::from_slice(json).ok()?;
    let usage = Usage::default()
        .with(Class::Input, whole(units.input_tokens))
        .with(Class::InputImage, whole(units.image_tokens))
        .with(Class::Output, whole(units.output_tokens));
    Some(usage)
}

/// Units come as decimal numbers (`2406.0`).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded above and below"
)]
fn whole(units: f64) -> u64 {
    units.clamp(0.0, 1e15).round() as u64
}

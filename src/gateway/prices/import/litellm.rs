//! Reads `LiteLLM`'s `model_prices_and_context_window.json` (github.com/BerriAI/litellm; as of 1.110): a price a
//! token, by fields such as `input_cost_per_token_above_200k_tokens` and `output_cost_per_token_batches`. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Listed, Listing, Skipped, per_token};
use crate::gateway::prices::rate::{Decimal, Rate, Rates};
use crate::gateway::prices::{Above, PriceRow};
use crate::model::UsageClass as Class;

/// What calls of the gateway can be; others are not metered by it.
const MODES: [&str; 4] = ["chat", "responses", "completion", "embedding"];
/// An entry that only explains the others.
const EXPLANATION: &str = "sample_spec";

/// Whether a text looks like this list.
#[must_use]
pub fn is_such(list: &Map<String, Value>) -> bool {
    list.contains_key(EXPLANATION) || list.values().any(|it| it.get("litellm_provider").is_some())
}

/// The list, with what of it was left out.
#[must_use]
pub fn read(list: &Map<String, Value>) -> Listing {
    let mut listing = Listing::default();
    for (key, entry) in list.iter().filter(|it| it.0 != EXPLANATION) {
        match row(key, entry, &mut listing.left_out) {
            Ok(row) => listing.prices.push(Listed { source: key.clone(), row, is_plain: true }),
            Err(why) => {
                let provider = entry.get("litellm_provider").and_then(Value::as_str);
                let provider = provider.unwrap_or_default().to_owned();
                let model = model(key, &provider).to_owned();
                listing.skipped.push(Skipped { source: key.clone(), provider, model, why });
            }
        }
    }
    listing
}

/// The name of a model at its provider.
fn model<'a>(key: &'a str, provider: &str) -> &'a str {
    key.strip_prefix(provider).and_then(|it| it.strip_prefix('/')).unwrap_or(key)
}

fn row(
    key: &str,
    entry: &Value,
    left_out: &mut BTreeMap<String, usize>,
) -> Result<PriceRow, String> {
    let entry = entry.as_object().ok_or("it is no object")?;
    let word = |name: &str| entry.get(name).and_then(Value::as_str);
    let provider = word("litellm_provider").ok_or("it names no provider")?;
    let mode = word("mode").ok_or("it does not say what it is for")?;
    if !MODES.contains(&mode) {
        return Err(format!("calls for `{mode}` are not metered"));
    }
    let mut row = super::plain_row(provider, model(key, provider))?;
    for (name, value) in entry.iter().filter(|it| is_price(it.0)) {
        if set(&mut row, name, value)?.is_none() && !is_nothing(value) {
            *left_out.entry(name.clone()).or_default() += 1;
        }
    }
    tiers(&mut row, entry)?;
    row.max_output = super::max_output(entry.get("max_output_tokens"));
    super::checked(row)
}

fn is_price(name: &str) -> bool {
    name.contains("cost") && !name.contains("dbu") && name != "tiered_pricing"
}

fn is_nothing(value: &Value) -> bool {
    value.as_f64() == Some(0.0) || value.is_null()
}

/// Takes a field; nothing when it is of what is not metered, or there is no place for it.
fn set(row: &mut PriceRow, name: &str, value: &Value) -> Result<Option<()>, String> {
    if name == "search_context_cost_per_query" {
        return Ok(same_of_all(value).map(|rate| {
            row.rates.per_thousand.insert(Class::WebSearches, Decimal(rate));
        }));
    }
    let Some(field) = Field::of(name) else { return Ok(None) };
    // A tier has one price, whatever the size of the prompt.
    if field.tier.is_some() && field.above.is_some() {
        return Ok(None);
    }
    let rate = per_token(value).map_err(|why| format!("`{name}`: {why}"))?;
    let rates = match (field.tier, field.above) {
        (None, Some(tokens)) => {
            set_above(&mut row.above, tokens, (field.class, rate));
            return Ok(Some(()));
        }
        (Some(tier), _) => row.tier.entry(tier.to_owned()).or_default(),
        (None, None) => &mut row.rates,
    };
    if field.class == Class::Requests {
        rates.per_thousand.insert(field.class, Decimal(rate));
    } else {
        rates.per_million.insert(field.class, Decimal(rate));
    }
    Ok(Some(()))
}

/// The price of a search, where it is the same for each size of its answer.
fn same_of_all(value: &Value) -> Option<Rate> {
    let sizes = value.as_object()?;
    let mut rates = sizes.values().filter_map(|it| per_token(it).ok());
    let first = rates.next()?;
    rates.all(|it| it == first).then_some(first)
}

/// Sets a price of larger prompts.
fn set_above(all: &mut Vec<Above>, tokens: u64, (class, rate): (Class, Rate)) {
    if let Some(above) = all.iter_mut().find(|it| it.input_tokens == tokens) {
        above.rates.per_million.insert(class, Decimal(rate));
        return;
    }
    let mut rates = Rates::default();
    rates.per_million.insert(class, Decimal(rate));
    all.push(Above { input_tokens: tokens, rates });
}

/// What a field says the price of.
struct Field {
    class: Class,
    /// Prompts of more tokens.
    above: Option<u64>,
    /// The service tier.
    tier: Option<&'static str>,
}

impl Field {
    fn of(name: &str) -> Option<Self> {
        let tiers = [("_batches", "batch"), ("_priority", "priority"), ("_flex", "flex")];
        let tier = tiers.into_iter().find_map(|(end, tier)| Some((name.strip_suffix(end)?, tier)));
        let (name, tier) = tier.map_or((name, None), |(name, tier)| (name, Some(tier)));
        let (name, above) = match name.rsplit_once("_above_") {
            Some((name, end)) if end != "1hr" => {
                let thousands = end.strip_suffix("k_tokens")?.parse::<u64>().ok()?;
                (name, Some(thousands.checked_mul(1000)?))
            }
            _ => (name, None),
        };
        Some(Self { class: class(name)?, above, tier })
    }
}

fn class(name: &str) -> Option<Class> {
    Some(match name {
        "input_cost_per_token" => Class::Input,
        "output_cost_per_token" => Class::Output,
        "output_cost_per_reasoning_token" => Class::Reasoning,
        "cache_read_input_token_cost" | "input_cost_per_token_cache_hit" => Class::CacheRead,
        "cache_read_input_audio_token_cost" => Class::CacheReadAudio,
        "cache_creation_input_token_cost" => Class::CacheWrite5m,
        "cache_creation_input_token_cost_above_1hr" => Class::CacheWrite1h,
        "input_cost_per_audio_token" => Class::InputAudio,
        "input_cost_per_image_token" => Class::InputImage,
        "input_cost_per_video_token" => Class::InputVideo,
        "output_cost_per_audio_token" => Class::OutputAudio,
        "output_cost_per_image_token" => Class::OutputImage,
        "input_cost_per_request" => Class::Requests,
        _ => return None,
    })
}

/// `tiered_pricing`: prices by the size of the prompt, each from the first of `range` on.
fn tiers(row: &mut PriceRow, entry: &Map<String, Value>) -> Result<(), String> {
    let tiers = entry.get("tiered_pricing").and_then(Value::as_array);
    for tier in tiers.into_iter().flatten().filter_map(Value::as_object) {
        let from = tier.get("range").and_then(|it| it.get(0)).and_then(Value::as_f64);
        let from = from.filter(|it| (0.0..1e12).contains(it)).ok_or("a tier without a range")?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above"
        )]
        let from = from as u64;
        for (name, value) in tier {
            let Some(class) = class(name) else { continue };
            let rate = per_token(value).map_err(|why| format!("`{name}` of a tier: {why}"))?;
            if from == 0 {
                row.rates.per_million.insert(class, Decimal(rate));
            } else {
                set_above(&mut row.above, from, (class, rate));
            }
        }
    }
    Ok(())
}

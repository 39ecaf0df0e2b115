//! Reads `api.json` of models.dev: providers with their models, and prices for a million tokens. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Listed, Listing, Skipped, per_million};
use crate::gateway::prices::rate::{Decimal, Rates};
use crate::gateway::prices::{Above, PriceRow};
use crate::model::UsageClass as Class;

/// Prices of larger prompts: `context_over_200k`.
const OVER: &str = "context_over_";

/// Whether a text looks like this list.
#[must_use]
pub fn is_such(list: &Map<String, Value>) -> bool {
    let has_models = |it: &Value| it.get("models").is_some_and(Value::is_object);
    !list.is_empty() && list.values().all(has_models)
}

/// The list, with what of it was left out.
#[must_use]
pub fn read(list: &Map<String, Value>) -> Listing {
    let mut listing = Listing::default();
    for (provider, entry) in list {
        let models = entry.get("models").and_then(Value::as_object);
        for (model, entry) in models.into_iter().flatten() {
            let source = format!("{provider}/{model}");
            match row(provider, (model, entry), &mut listing.left_out) {
                Ok(row) => listing.prices.push(Listed { source, row, is_plain: true }),
                Err(why) => {
                    let (provider, model) = (provider.clone(), model.clone());
                    listing.skipped.push(Skipped { source, provider, model, why });
                }
            }
        }
    }
    listing
}

fn row(
    provider: &str,
    (model, entry): (&str, &Value),
    left_out: &mut BTreeMap<String, usize>,
) -> Result<PriceRow, String> {
    let cost = entry.get("cost").and_then(Value::as_object).ok_or("it has no price")?;
    let mut row = super::plain_row(provider, model)?;
    for (name, value) in cost {
        if let Some(size) = name.strip_prefix(OVER) {
            let tokens = size.strip_suffix('k').and_then(|it| it.parse::<u64>().ok());
            let tokens = tokens.and_then(|it| it.checked_mul(1000));
            let input_tokens = tokens.ok_or_else(|| format!("`{name}` is no size"))?;
            let mut rates = Rates::default();
            for (name, value) in value.as_object().into_iter().flatten() {
                set(&mut rates, (name, value), left_out)?;
            }
            row.above.push(Above { input_tokens, rates });
        } else {
            set(&mut row.rates, (name, value), left_out)?;
        }
    }
    row.max_output = super::max_output(entry.get("limit").and_then(|it| it.get("output")));
    super::checked(row)
}

fn set(
    rates: &mut Rates,
    (name, value): (&str, &Value),
    left_out: &mut BTreeMap<String, usize>,
) -> Result<(), String> {
    let class = match name {
        "input" => Class::Input,
        "output" => Class::Output,
        "reasoning" => Class::Reasoning,
        "cache_read" => Class::CacheRead,
        "cache_write" => Class::CacheWrite5m,
        "input_audio" => Class::InputAudio,
        "output_audio" => Class::OutputAudio,
        _ => {
            *left_out.entry(name.to_owned()).or_default() += 1;
            return Ok(());
        }
    };
    let rate = per_million(value).map_err(|why| format!("`{name}`: {why}"))?;
    rates.per_million.insert(class, Decimal(rate));
    Ok(())
}

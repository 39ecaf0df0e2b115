//! Reads public price lists into rows of ours: `genai-prices` (pydantic, `data_slim.json`) here, others in files of
//! their own. Pure.

pub mod litellm;
pub mod models_dev;
pub mod filter;

use std::collections::BTreeMap;
use std::num::NonZero;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::matcher::{Expression, Matcher};
use super::rate::{Decimal, Rate, Rates};
use super::{Above, Currency, PriceFile, PriceRow};
use crate::model::UsageClass as Class;

/// No model gives more tokens in one answer: what a list says above it is a slip.
const MAX_OUTPUT: u64 = 10_000_000;

/// What a list says, and what of it cannot be taken.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// The prices.
    pub prices: Vec<Listed>,
    /// Entries that were not taken.
    pub skipped: Vec<Skipped>,
    /// Prices of something that is not metered, by their names, and of how many models.
    pub left_out: BTreeMap<String, usize>,
}

/// A price of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// What the list calls it.
    pub source: String,
    /// The price.
    pub row: PriceRow,
    /// Whether it is for one model, by its whole name, and has no day yet.
    pub is_plain: bool,
}

/// An entry of a list that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// What the list calls it.
    pub source: String,
    /// Whose it is; empty where the list does not say.
    pub provider: String,
    /// Its name there.
    pub model: String,
    /// Why not.
    pub why: String,
}

/// The lists that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// `LiteLLM`'s `model_prices_and_context_window.json`.
    Litellm,
    /// `api.json` of models.dev.
    ModelsDev,
    /// `data_slim.json` of `genai-prices`.
    GenaiPrices,
}

impl List {
    /// All of them, with the words of the command line.
    pub const ALL: [(Self, &str); 3] = [
        (Self::Litellm, "litellm"),
        (Self::ModelsDev, "models.dev"),
        (Self::GenaiPrices, "genai-prices"),
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|it| it.0 == self).map_or("", |it| it.1)
    }
}

/// Reads a list, of this kind or of that which it looks like.
pub fn read(json: &str, list: Option<List>) -> Result<(List, Listing), String> {
    let value: Value = serde_json::from_str(json).map_err(|it| it.to_string())?;
    let looks = looks(&value);
    let list = list.or(looks).ok_or("it looks like none of the lists that are known")?;
    let listing = match (list, &value) {
        (List::Litellm, Value::Object(it)) => litellm::read(it),
        (List::ModelsDev, Value::Object(it)) => models_dev::read(it),
        (List::GenaiPrices, _) => {
            let rows = genai_prices(json)?.prices.into_iter();
            let listed = |row: PriceRow| Listed { source: row.id.clone(), row, is_plain: false };
            Listing { prices: rows.map(listed).collect(), ..Listing::default() }
        }
        _ => return Err(format!("it is no list of `{}`", list.as_str())),
    };
    Ok((list, listing))
}

/// Which list a text looks like, if it looks like one.
#[must_use]
pub fn looks_like(json: &str) -> Option<List> {
    looks(&serde_json::from_str(json).ok()?)
}

fn looks(value: &Value) -> Option<List> {
    match value {
        Value::Object(it) if litellm::is_such(it) => Some(List::Litellm),
        Value::Object(it) if models_dev::is_such(it) => Some(List::ModelsDev),
        Value::Array(_) => Some(List::GenaiPrices),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            None
        }
    }
}

/// A row of one model, by its whole name, that costs nothing yet.
fn plain_row(provider: &str, model: &str) -> Result<PriceRow, String> {
    if model.contains('*') {
        return Err("a name with `*` would be a pattern".to_owned());
    }
    Ok(PriceRow {
        id: format!("{provider}/{model}"),
        model: Matcher::Glob(model.to_owned()),
        ..PriceRow::assumed(provider, Rates::default())
    })
}

/// The most tokens that a model gives in one answer, where a list says it as a number that can be.
fn max_output(value: Option<&Value>) -> Option<NonZero<u64>> {
    NonZero::new(value?.as_u64()?).filter(|it| it.get() <= MAX_OUTPUT)
}

/// The row, unless it says nothing, or that everything is free: of what lists do not know, they say so too.
fn checked(mut row: PriceRow) -> Result<PriceRow, String> {
    row.above.sort_by_key(|it| it.input_tokens);
    let has_input = row.rates.of(Class::Input).is_some() || row.rates.of(Class::Requests).is_some();
    if !has_input {
        return Err("it has no price of what goes in".to_owned());
    }
    let tokens = row.rates.per_million.values().all(|it| it.0.0 == 0);
    let calls = row.rates.per_thousand.values().all(|it| it.0.0 == 0);
    if tokens && calls {
        return Err(
            "it says that it costs nothing: write that row yourself, if it is so".to_owned()
        );
    }
    Ok(row)
}

/// Dollars of one token, rounded to 10^-15: lists have sums of floats.
fn per_token(value: &Value) -> Result<Rate, String> {
    rounded::<0>(value, 15)
}

/// Dollars of a million tokens, rounded to 10^-9.
fn per_million(value: &Value) -> Result<Rate, String> {
    rounded::<6>(value, 9)
}

fn rounded<const POWER: u32>(value: &Value, digits: usize) -> Result<Rate, String> {
    let number = value.as_f64().ok_or_else(|| format!("`{value}` is not a number"))?;
    let text = format!("{number:.digits$}");
    let is_lost = number != 0.0 && text.bytes().all(|it| matches!(it, b'0' | b'.'));
    if is_lost {
        return Err(format!("`{value}` is too small"));
    }
    Ok(text.parse::<Decimal<POWER>>()?.0)
}

#[derive(Debug, Deserialize)]
struct Provider {
    id: String,
    models: Vec<Model>,
    #[serde(default)]
    fallback_model_providers: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Model {
    id: String,
    #[serde(rename = "match")]
    matcher: Map<String, Value>,
    prices: OneOrMany,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Dated>),
    One(Map<String, Value>),
}

#[derive(Debug, Deserialize)]
struct Dated {
    prices: Map<String, Value>,
    #[serde(default)]
    constraint: Constraint,
}

#[derive(Debug, Default, Deserialize)]
struct Constraint {
    start_date: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
}

/// The list as a price file; the models of a provider that serves another one's as well come after
/// its own. What cannot be read is an error, and never left out in silence. In the list the first model
/// counts that a name matches, and in a price file a name in full: so a name is left out of a model
/// where one before it has it already.
pub fn genai_prices(json: &str) -> Result<PriceFile, String> {
    let providers: Vec<Provider> = serde_json::from_str(json).map_err(|it| it.to_string())?;
    let mut prices = Vec::new();
    for provider in &providers {
        let others = provider.fallback_model_providers.iter();
        let others = others.filter_map(|id| providers.iter().find(|it| it.id == *id));
        let mut before = Vec::<Matcher>::new();
        for source in std::iter::once(provider).chain(others) {
            for model in &source.models {
                let rows = rows(&provider.id, &source.id, model);
                let rows = rows.map_err(|it| format!("{}/{}: {it}", source.id, model.id))?;
                let left = rows.first().and_then(|it| left(&it.model, &before));
                if let Some(left) = left.filter(|it| !before.contains(it)) {
                    prices
                        .extend(rows.into_iter().map(|it| PriceRow { model: left.clone(), ..it }));
                    before.push(left);
                }
            }
        }
    }
    Ok(PriceFile { version: 1, currency: Currency::Usd, prices })
}

/// What of a matcher is not taken by those before it.
fn left(matcher: &Matcher, before: &[Matcher]) -> Option<Matcher> {
    match matcher {
        Matcher::Glob(name) if !name.contains('*') => {
            let is_taken = before.iter().any(|it| it.matches(name));
            (!is_taken).then(|| matcher.clone())
        }
        Matcher::Any(several) => {
            let several: Vec<_> = several.iter().filter_map(|it| left(it, before)).collect();
            (!several.is_empty()).then_some(Matcher::Any(several))
        }
        Matcher::Glob(_) | Matcher::All { .. } | Matcher::Regex { .. } => Some(matcher.clone()),
    }
}

fn rows(provider: &str, source: &str, model: &Model) -> Result<Vec<PriceRow>, String> {
    let matcher = matcher(&model.matcher)?;
    let row = |prices: &Map<String, Value>, constraint: &Constraint| {
        let (rates, above) = rates(prices)?;
        let time = |it: &String| it.get(..5).unwrap_or(it).parse();
        let hours = constraint.start_time.as_ref().zip(constraint.end_time.as_ref());
        Ok(PriceRow {
            id: format!("{source}/{}", model.id),
            provider: provider.to_owned(),
            model: matcher.clone(),
            from: constraint.start_date.as_ref().map(|it| it.parse()).transpose()?,
            hours: hours.map(|it| Ok::<_, String>((time(it.0)?, time(it.1)?))).transpose()?,
            max_output: None,
            rates,
            above,
            tier: BTreeMap::new(),
        })
    };
    match &model.prices {
        OneOrMany::One(prices) => Ok(vec![row(prices, &Constraint::default())?]),
        OneOrMany::Many(dated) => dated.iter().map(|it| row(&it.prices, &it.constraint)).collect(),
    }
}

fn matcher(clauses: &Map<String, Value>) -> Result<Matcher, String> {
    let (kind, value) = clauses.iter().next().ok_or("an empty match")?;
    let text = || value.as_str().ok_or_else(|| format!("`{kind}` is not a text"));
    let several = || {
        let list = value.as_array().ok_or_else(|| format!("`{kind}` is not a list"))?;
        let clauses = list.iter().filter_map(Value::as_object);
        clauses.map(matcher).collect::<Result<Vec<_>, _>>()
    };
    match kind.as_str() {
        "equals" => Ok(Matcher::Glob(text()?.to_owned())),
        "starts_with" => Ok(Matcher::Glob(format!("{}*", text()?))),
        "ends_with" => Ok(Matcher::Glob(format!("*{}", text()?))),
        "contains" => Ok(Matcher::Glob(format!("*{}*", text()?))),
        "regex" => Ok(Matcher::Regex { regex: Expression::new(text()?)? }),
        "or" => Ok(Matcher::Any(several()?)),
        "and" => Ok(Matcher::All { all: several()? }),
        _ => Err(format!("a match by `{kind}` is not known")),
    }
}

/// The prices of a row, and those of larger prompts.
fn rates(prices: &Map<String, Value>) -> Result<(Rates, Vec<Above>), String> {
    let (mut rates, mut above) = (Rates::default(), Vec::<Above>::new());
    for (name, value) in prices {
        let base = value.get("base").unwrap_or(value);
        set(&mut rates, name, base)?;
        for tier in value.get("tiers").and_then(Value::as_array).into_iter().flatten() {
            let start = tier.get("start").and_then(Value::as_u64).ok_or("a tier without start")?;
            let price = tier.get("price").ok_or("a tier without price")?;
            let index = above.iter().position(|it| it.input_tokens == start);
            let index = index.unwrap_or_else(|| {
                above.push(Above { input_tokens: start, rates: Rates::default() });
                above.len() - 1
            });
            if let Some(above) = above.get_mut(index) {
                set(&mut above.rates, name, price)?;
            }
        }
    }
    hour_of_cache(&mut rates);
    for it in &mut above {
        hour_of_cache(&mut it.rates);
    }
    Ok((rates, above))
}

fn set(rates: &mut Rates, name: &str, value: &Value) -> Result<(), String> {
    let class = match name {
        "input_mtok" => Class::Input,
        "output_mtok" => Class::Output,
        "cache_read_mtok" => Class::CacheRead,
        "cache_write_mtok" => Class::CacheWrite5m,
        "input_audio_mtok" => Class::InputAudio,
        "output_audio_mtok" => Class::OutputAudio,
        "cache_audio_read_mtok" => Class::CacheReadAudio,
        "requests_kcount" => {
            rates.per_thousand.insert(Class::Requests, amount(value)?.parse()?);
            return Ok(());
        }
        _ => return Err(format!("a price of `{name}` is not known")),
    };
    rates.per_million.insert(class, amount(value)?.parse()?);
    Ok(())
}

/// With nine digits after the point: the list has some sums of floats (`0.18000000000000002`).
fn amount(value: &Value) -> Result<String, String> {
    Ok(Decimal::<6>(per_million(value)?).to_string())
}

/// The list knows only caches of five minutes, at 1.25 times the input where writing costs extra. An
/// hour is twice the input there: <https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching>, 2026-11.
fn hour_of_cache(rates: &mut Rates) {
    let (input, write) = (rates.of(Class::Input), rates.of(Class::CacheWrite5m));
    if let (Some(Rate(input)), Some(Rate(write))) = (input, write)
        && write.checked_mul(4) == input.checked_mul(5)
    {
        rates.per_million.insert(Class::CacheWrite1h, Decimal(Rate(input.saturating_mul(2))));
    }
}

//! What models cost, by date: one file of rows that a person can read and a list can be imported
//! into. Pure. A row is found for provider, model and moment ([`lookup`]); what was found is written down with
//! each call, so that a later price changes nothing that was.

pub mod rate;
pub mod matcher;
pub mod lookup;
pub mod at_hand;
pub mod import;
pub mod merge;
pub mod text;
mod place;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZero;

use serde::{Deserialize, Serialize};

use crate::model::{Timestamp, Usage, UsageClass, UsdNanos};
use matcher::Matcher;
use rate::{Date, DayTime, Rate, Rates};

/// Femto-dollars in a nano-dollar.
const FEMTOS_PER_NANO: i128 = 1_000_000;

/// The service tiers that calls are known to have: OpenAI's, Anthropic's, and `batch`, which is that of the queue's
/// batches too.
pub const TIERS: [&str; 7] = ["auto", "batch", "default", "flex", "priority", "scale", "standard"];

/// A price file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceFile {
    /// The version of the format: 1.
    pub version: u32,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The rows; which of them counts is said at [`lookup::find`].
    #[serde(rename = "price", default)]
    pub prices: Vec<PriceRow>,
}

/// A currency. Conversions are a decision that no one has made yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Currency {
    /// US dollars.
    #[serde(rename = "USD")]
    Usd,
}

/// What one model costs at one provider from one day on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceRow {
    /// Names the price in the ledger; rows of different days may share it.
    pub id: String,
    /// Who serves the model.
    pub provider: String,
    /// Names of the model.
    pub model: Matcher,
    /// The first day, UTC; always, when it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// The hours of each day, UTC, in which alone it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<(DayTime, DayTime)>,
    /// The most tokens that the model gives in one answer: so many are counted on where a request names no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<NonZero<u64>>,
    /// The price.
    #[serde(flatten)]
    pub rates: Rates,
    /// Prices of whole calls whose prompt is larger.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub above: Vec<Above>,
    /// Prices of service tiers, [some](TIERS) of which are known. What a tier does not name costs as usual.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tier: BTreeMap<String, Rates>,
}

/// What calls cost whose prompt has more tokens than a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Above {
    /// The number.
    pub input_tokens: u64,
    /// The price of what is named; the rest costs as usual.
    #[serde(flatten)]
    pub rates: Rates,
}

/// Which price was taken, for the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceRef {
    /// The row's name.
    pub id: String,
    /// Its first day.
    pub from: Option<Date>,
}

/// What a call costs, in femto-dollars (10^-15 USD), exactly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    /// Of what went in, cached or not.
    pub input: i128,
    /// Of what came out.
    pub output: i128,
    /// Of calls and of the provider's tools.
    pub other: i128,
    /// What was counted and has no price.
    pub unpriced: Vec<UsageClass>,
}

impl Cost {
    /// In nano-dollars, rounded up once.
    #[must_use]
    pub fn total(&self) -> UsdNanos {
        let femtos = self.input.saturating_add(self.output).saturating_add(self.other);
        let nanos =
            femtos.div_euclid(FEMTOS_PER_NANO) + i128::from(femtos.rem_euclid(FEMTOS_PER_NANO) > 0);
        UsdNanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

/// What a call may use at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Most {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of all answers.
    pub output_tokens: u64,
    /// Whether some of them may be sound.
    pub has_audio: bool,
    /// Whether the prompt may be cached for an hour.
    pub has_long_cache: bool,
}

impl PriceRow {
    /// A price that somebody assumes for models that no file knows.
    #[must_use]
    pub fn assumed(provider: &str, rates: Rates) -> Self {
        Self {
            id: "assumed".to_owned(),
            provider: provider.to_owned(),
            model: Matcher::Glob("*".to_owned()),
            from: None,
            hours: None,
            max_output: None,
            rates,
            above: Vec::new(),
            tier: BTreeMap::new(),
        }
    }

    /// Which price this is.
    #[must_use]
    pub fn reference(&self) -> PriceRef {
        PriceRef { id: self.id.clone(), from: self.from }
    }

    /// What a call with this usage costs.
    #[must_use]
    pub fn cost(&self, usage: &Usage, service_tier: Option<&str>) -> Cost {
        let mut cost = Cost::default();
        for (class, count) in usage.iter() {
            let Some(rate) = self.rate(class, usage.input_tokens(), service_tier) else {
                let is_token = class.is_input() || class.is_output();
                let is_free = is_token && self.is_by_call();
                if class != UsageClass::Requests && !is_free {
                    cost.unpriced.push(class);
                }
                continue;
            };
            let amount = i128::from(rate.0) * i128::from(count);
            if class.is_input() {
                cost.input += amount;
            } else if class.is_output() {
                cost.output += amount;
            } else {
                cost.other += amount;
            }
        }
        cost
    }

    /// Whether a class has a price, if only as what it is a kind of.
    #[must_use]
    pub fn has_rate(&self, class: UsageClass) -> bool {
        self.rate(class, 0, None).is_some()
    }

    /// Whether answers with tokens have a price: by the token, or by the call. One without it would make them free.
    #[must_use]
    pub fn covers_output(&self) -> bool {
        self.has_rate(UsageClass::Output) || self.is_by_call()
    }

    /// Whether it is for each call, however many tokens it has.
    fn is_by_call(&self) -> bool {
        self.has_rate(UsageClass::Requests) && !self.has_rate(UsageClass::Input)
    }

    /// The most that a call can cost: everything at the dearest rate that it may be charged at.
    #[must_use]
    pub fn most(&self, most: &Most, service_tier: Option<&str>) -> UsdNanos {
        let dearest = |classes: &[UsageClass]| {
            let rates =
                classes.iter().filter_map(|it| self.rate(*it, most.input_tokens, service_tier));
            i128::from(rates.map(|it| it.0).max().unwrap_or_default())
        };
        let input = dearest(input_classes(most)) * i128::from(most.input_tokens);
        let output = dearest(output_classes(most)) * i128::from(most.output_tokens);
        let other = dearest(&[UsageClass::Requests]);
        Cost { input, output, other, unpriced: Vec::new() }.total()
    }

    /// How many tokens of output `money` pays for, after the prompt; `None` when they cost nothing.
    #[must_use]
    pub fn affordable_output(
        &self,
        money: UsdNanos,
        most: &Most,
        service_tier: Option<&str>,
    ) -> Option<u64> {
        let prompt = self.most(&Most { output_tokens: 0, ..*most }, service_tier);
        let rates = output_classes(most)
            .iter()
            .filter_map(|it| self.rate(*it, most.input_tokens, service_tier));
        let rate = i128::from(rates.map(|it| it.0).max().filter(|it| *it > 0)?);
        let left = i128::from(money.0.saturating_sub(prompt.0).max(0)) * FEMTOS_PER_NANO;
        u64::try_from(left / rate).ok()
    }

    /// The rate of a class. What has no price of its own costs what it is a kind of.
    fn rate(&self, class: UsageClass, input_tokens: u64, tier: Option<&str>) -> Option<Rate> {
        let named = |class| {
            let of_tier = tier.and_then(|it| self.tier.get(it)).and_then(|it| it.of(class));
            let above = self.above.iter().filter(|it| input_tokens > it.input_tokens);
            let above = above.filter_map(|it| Some((it.input_tokens, it.rates.of(class)?)));
            let above = above.max_by_key(|it| it.0).map(|it| it.1);
            of_tier.or(above).or_else(|| self.rates.of(class))
        };
        let mut class = class;
        loop {
            if let Some(rate) = named(class) {
                return Some(rate);
            }
            class = parent(class)?;
        }
    }

    fn is_in_force(&self, at: Timestamp) -> bool {
        let has_begun = self.from.is_none_or(|it| it.start() <= at);
        has_begun && self.hours.is_none_or(|(from, to)| DayTime::of(at).is_within(from, to))
    }
}

/// What a class is a kind of.
fn parent(class: UsageClass) -> Option<UsageClass> {
    match class {
        UsageClass::InputAudio
        | UsageClass::InputImage
        | UsageClass::InputVideo
        | UsageClass::CacheRead
        | UsageClass::CacheWrite5m => Some(UsageClass::Input),
        UsageClass::CacheReadAudio => Some(UsageClass::CacheRead),
        UsageClass::CacheWrite1h => Some(UsageClass::CacheWrite5m),
        UsageClass::Reasoning | UsageClass::OutputAudio | UsageClass::OutputImage => {
            Some(UsageClass::Output)
        }
        UsageClass::Input
        | UsageClass::Output
        | UsageClass::Requests
        | UsageClass::WebSearches
        | UsageClass::FileSearches
        | UsageClass::CodeSessions
        | UsageClass::Queries
        | UsageClass::ReadUnits
        | UsageClass::WriteUnits
        | UsageClass::SearchUnits
        | UsageClass::Pages => None,
    }
}

fn input_classes(most: &Most) -> &'static [UsageClass] {
    use UsageClass::{CacheWrite1h, CacheWrite5m, Input, InputAudio, InputImage, InputVideo};
    match (most.has_audio, most.has_long_cache) {
        (false, false) => &[Input, InputImage, InputVideo, CacheWrite5m],
        (false, true) => &[Input, InputImage, InputVideo, CacheWrite5m, CacheWrite1h],
        (true, _) => &[Input, InputImage, InputVideo, CacheWrite5m, CacheWrite1h, InputAudio],
    }
}

fn output_classes(most: &Most) -> &'static [UsageClass] {
    use UsageClass::{Output, OutputAudio, OutputImage, Reasoning};
    if most.has_audio {
        &[Output, Reasoning, OutputImage, OutputAudio]
    } else {
        &[Output, Reasoning, OutputImage]
    }
}

/// Prices, ready to be looked up.
#[derive(Debug, Clone, Default)]
pub struct Prices {
    /// Of each provider the rows of each file, in the order of the files.
    by_provider: HashMap<String, Vec<Vec<PriceRow>>>,
}

impl Prices {
    /// Of the rows of one file.
    #[must_use]
    pub fn new(rows: Vec<PriceRow>) -> Self {
        Self::of_files(vec![rows])
    }

    /// Of the rows of files, the first that has a price counting.
    #[must_use]
    pub fn of_files(files: Vec<Vec<PriceRow>>) -> Self {
        let mut by_provider: HashMap<String, Vec<Vec<PriceRow>>> = HashMap::new();
        for rows in files {
            let mut of_file: HashMap<String, Vec<PriceRow>> = HashMap::new();
            for row in rows {
                of_file.entry(row.provider.clone()).or_default().push(row);
            }
            for (provider, rows) in of_file {
                by_provider.entry(provider).or_default().push(rows);
            }
        }
        Self { by_provider }
    }

    /// The price of a model at a provider at a moment.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str, at: Timestamp) -> Option<&PriceRow> {
        let files = self.by_provider.get(provider)?;
        files.iter().find_map(|rows| lookup::find(rows.iter(), model, at))
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_provider.values().flatten().map(Vec::len).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_provider.is_empty()
    }
}

/// Reads a price file in TOML.
pub fn read_toml(text: &str) -> Result<PriceFile, String> {
    let file: PriceFile = toml::from_str(text).map_err(|error| {
        let file = toml::from_str::<serde_json::Value>(text).ok();
        file.and_then(|it| place::of_mistake(&it)).unwrap_or_else(|| error.to_string())
    })?;
    of_known_version(file)
}

/// Reads a price file in JSON.
pub fn read_json(text: &str) -> Result<PriceFile, String> {
    let file: PriceFile = serde_json::from_str(text).map_err(|error| {
        let file = serde_json::from_str::<serde_json::Value>(text).ok();
        file.and_then(|it| place::of_mistake(&it)).unwrap_or_else(|| error.to_string())
    })?;
    of_known_version(file)
}

fn of_known_version(file: PriceFile) -> Result<PriceFile, String> {
    if file.version == 1 { Ok(file) } else { Err(format!("version {} is not known", file.version)) }
}

#[cfg(test)]
mod tests;

//! Of a list, what was asked for by providers and patterns of models. Pure.

use std::collections::BTreeSet;

use super::Listing;
use crate::gateway::prices::matcher::Matcher;

/// How like two names have to be, so that one may be meant by the other.
const LIKE: f64 = 0.65;
/// Names that are told instead of one.
const NEAREST: usize = 3;

/// What is wanted of a list; all of it where nothing is named.
#[derive(Debug)]
pub struct Filter<'a> {
    /// Providers, as the list calls them.
    pub providers: &'a [String],
    /// Names of models; `*` stands for any letters.
    pub models: &'a [String],
}

/// A part of a filter that nothing in the list is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// What is not there, in words.
    pub what: String,
    /// Names of the list that are like it, the nearest first.
    pub nearest: Vec<String>,
    /// Other providers that have the model.
    pub elsewhere: Vec<String>,
}

impl Filter<'_> {
    /// Leaves in a list what is wanted. Each provider and each pattern has to be for something in it, be it what was
    /// skipped. Of prices that were left out it is not known whose they are: a filter drops them.
    pub fn keep(&self, listing: &mut Listing) -> Result<(), Unknown> {
        if self.providers.is_empty() && self.models.is_empty() {
            return Ok(());
        }
        self.check(&names(listing))?;
        listing.prices.retain(|it| self.has((it.row.provider.as_str(), name(&it.row.id))));
        listing.skipped.retain(|it| self.has((it.provider.as_str(), it.model.as_str())));
        listing.left_out.clear();
        Ok(())
    }

    fn check(&self, names: &[(&str, &str)]) -> Result<(), Unknown> {
        for provider in self.providers {
            if !names.iter().any(|it| it.0 == provider) {
                let nearest = nearest(provider, names.iter().map(|it| it.0));
                let what = format!("provider `{provider}`");
                return Err(Unknown { what, nearest, elsewhere: Vec::new() });
            }
        }
        for pattern in self.models {
            let matcher = Matcher::Glob(pattern.clone());
            let found = names.iter().filter(|it| matcher.matches(it.1));
            let found: BTreeSet<_> = found.map(|it| it.0).collect();
            if !found.iter().any(|it| self.is_of(it)) {
                let own = names.iter().filter(|it| self.is_of(it.0));
                let nearest = nearest(pattern, own.map(|it| it.1));
                let elsewhere = found.into_iter().take(NEAREST).map(ToOwned::to_owned).collect();
                return Err(Unknown { what: self.model(pattern), nearest, elsewhere });
            }
        }
        Ok(())
    }

    fn model(&self, pattern: &str) -> String {
        let of = self.providers.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
        if of.is_empty() {
            format!("model `{pattern}`")
        } else {
            format!("model `{pattern}` of {of}")
        }
    }

    fn is_of(&self, provider: &str) -> bool {
        self.providers.is_empty() || self.providers.iter().any(|it| it == provider)
    }

    fn has(&self, (provider, model): (&str, &str)) -> bool {
        let mut models = self.models.iter().cloned().map(Matcher::Glob);
        self.is_of(provider) && (self.models.is_empty() || models.any(|it| it.matches(model)))
    }
}

/// The name of the model in the name of a row.
fn name(id: &str) -> &str {
    id.split_once('/').map_or(id, |it| it.1)
}

/// All providers and models of a list.
fn names(listing: &Listing) -> Vec<(&str, &str)> {
    let prices = listing.prices.iter().map(|it| (it.row.provider.as_str(), name(&it.row.id)));
    let skipped = listing.skipped.iter().map(|it| (it.provider.as_str(), it.model.as_str()));
    prices.chain(skipped).collect()
}

/// Of a pattern, what stands before its star is held against the starts of names.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = wanted.to_lowercase();
    let head = wanted.split_once('*').map(|it| it.0.to_owned()).filter(|it| !it.is_empty());
    let letters = head.as_ref().map_or(usize::MAX, |it| it.chars().count());
    let wanted = head.unwrap_or_else(|| wanted.replace('*', ""));
    let score = |name: &str| {
        let start: String = name.to_lowercase().chars().take(letters).collect();
        let slips = strsim::normalized_damerau_levenshtein(&wanted, &start);
        strsim::jaro_winkler(&wanted, &start).max(slips)
    };
    let names: BTreeSet<_> = names.filter(|it| !it.is_empty()).collect();
    let scored = names.into_iter().map(|it| (score(it), it));
    let mut scored: Vec<_> = scored.filter(|it| it.0 > LIKE).collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0));
    scored.into_iter().take(NEAREST).map(|it| it.1.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        let list = serde_json::json!({
            "gpt-9": { "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6 },
            "claude-x": { "litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 3e-6 },
            "openai/painter": { "litellm_provider": "openai", "mode": "image_generation" },
        });
        super::super::read(&list.to_string(), None).unwrap().1
    }

    fn kept(providers: &[&str], models: &[&str]) -> Result<String, Unknown> {
        let owned = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let (providers, models) = (owned(providers), owned(models));
        let mut listing = listing();
        Filter { providers: &providers, models: &models }.keep(&mut listing)?;
        let prices = listing.prices.iter().map(|it| it.source.clone());
        let skipped = listing.skipped.iter().map(|it| format!("not {}", it.source));
        let mut all: Vec<_> = prices.chain(skipped).collect();
        all.sort_unstable();
        Ok(all.join(", "))
    }

    #[test]
    fn what_is_named_stays_and_so_does_why_it_is_not_taken() {
        assert_eq!(kept(&[], &[]).unwrap(), "claude-x, gpt-9, not openai/painter");
        assert_eq!(kept(&["openai"], &[]).unwrap(), "gpt-9, not openai/painter");
        assert_eq!(kept(&[], &["paint*"]).unwrap(), "not openai/painter");
        assert_eq!(kept(&["openai", "anthropic"], &["GPT-*"]).unwrap(), "gpt-9");
    }

    #[test]
    fn what_is_for_nothing_is_told_with_what_is_nearest() {
        let unknown = |providers: &[&str], models: &[&str]| {
            let Unknown { what, nearest, elsewhere } = kept(providers, models).unwrap_err();
            format!("{what}: {} / {}", nearest.join(" "), elsewhere.join(" "))
        };
        assert_eq!(unknown(&["opnai"], &[]), "provider `opnai`: openai / ");
        assert_eq!(unknown(&["openai", "none"], &[]), "provider `none`:  / ");
        assert_eq!(unknown(&[], &["gtp*"]), "model `gtp*`: gpt-9 / ");
        let other = unknown(&["openai"], &["gpt-9", "claude-x"]);
        assert_eq!(other, "model `claude-x` of `openai`:  / anthropic");
    }
}

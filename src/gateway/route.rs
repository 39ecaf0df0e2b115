//! Which ways lead to a model, in which order they are tried, and when another is. Pure.

mod breakers;
pub mod outage;

use serde::Deserialize;

use super::prices::matcher::Matcher;
use crate::model::{Milliseconds, Timestamp};
use crate::provider::Dialect;
use crate::provider::estimate::tokenizer::Tokenizer;
pub use breakers::Breakers;

/// Where a name of a model leads.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Names that clients use.
    pub model: Matcher,
    /// Where to, in order of preference.
    pub to: Vec<Target>,
}

/// A model at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The provider.
    pub provider: String,
    /// The provider's name of the model; the client's, when it is not there.
    pub model: Option<String>,
    /// Whether items of the queue may go there as batches.
    #[serde(default)]
    pub batch: bool,
    /// How its tokens are counted when no answer tells them; as the model's name says, when it is not there.
    pub tokenizer: Option<Tokenizer>,
}

/// One way to a model: a key of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Way {
    /// The provider's place in the settings.
    pub provider: usize,
    /// The key's place among the provider's.
    pub key: usize,
}

/// A way with the name that the model has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<'a> {
    /// The way.
    pub way: Way,
    /// The name; the client's, when it is not there.
    pub model: Option<&'a str>,
    /// Whether batches may go there.
    pub batch: bool,
    /// How its tokens are counted; as its name says, when it is not there.
    pub tokenizer: Option<Tokenizer>,
}

/// What routes know of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// Its wire format.
    pub dialect: Dialect,
    /// How many keys there are.
    pub keys: usize,
}

/// The ways to a model: targets in their order, the keys of each beginning with another one each
/// time. Empty when the name leads nowhere in this format.
#[must_use]
pub fn steps<'a>(
    routes: &'a [Route],
    providers: &[Known],
    model: &str,
    dialect: Dialect,
    turn: usize,
) -> Vec<Step<'a>> {
    let Some(route) = routes.iter().find(|it| {
        let leads = |it: &Target| provider(providers, &it.provider, dialect).is_some();
        it.model.matches(model) && it.to.iter().any(leads)
    }) else {
        return Vec::new();
    };
    let mut steps = Vec::with_capacity(route.to.len());
    for target in &route.to {
        let Some((index, known)) = provider(providers, &target.provider, dialect) else { continue };
        for key in 0..known.keys {
            let way = Way { provider: index, key: (key + turn) % known.keys };
            let (model, tokenizer) = (target.model.as_deref(), target.tokenizer);
            steps.push(Step { way, model, batch: target.batch, tokenizer });
        }
    }
    steps
}

fn provider<'a>(
    providers: &'a [Known],
    name: &str,
    dialect: Dialect,
) -> Option<(usize, &'a Known)> {
    providers.iter().enumerate().find(|it| it.1.name == name && it.1.dialect == dialect)
}

/// What became of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The client gets the answer, be it an error of its own.
    Answered,
    /// Another way may do better; this one has failed with this model.
    Failed,
    /// The call never left: no key and no model of the provider does better.
    Unreachable,
    /// The provider asks to be left alone for a while.
    Limited,
    /// The provider does not accept the key.
    KeyRefused,
    /// The provider does not let the key do this.
    ModelRefused,
    /// The provider does not have the model, or its account is empty: no failure, and the same each time.
    Elsewhere,
}

impl Fate {
    /// Whether it shows that the provider can be reached. A failure may be a silence.
    fn has_reached(self) -> bool {
        !matches!(self, Self::Failed | Self::Unreachable)
    }
}

/// What a status of a provider means.
#[must_use]
pub fn fate_of_status(status: u16) -> Fate {
    match status {
        429 => Fate::Limited,
        401 => Fate::KeyRefused,
        403 => Fate::ModelRefused,
        402 | 404 => Fate::Elsewhere,
        // Where a redirect leads is nobody's choice but the file's.
        300..=399 | 408 | 409 | 500.. => Fate::Failed,
        _ => Fate::Answered,
    }
}

/// Calls that a key may still make: as many as it has minutes' worth, and at most one minute's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// In thousandths of a call.
    level: u64,
    filled_at: Timestamp,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn full(per_minute: u64, now: Timestamp) -> Self {
        Self { level: per_minute.saturating_mul(1000), filled_at: now }
    }

    /// Takes one call, or says when there is one.
    pub fn take(&mut self, per_minute: u64, now: Timestamp) -> Result<(), Milliseconds> {
        let full = per_minute.saturating_mul(1000);
        // Of a clock that was put back, time counts from there.
        self.filled_at = self.filled_at.min(now);
        let gained = now.since(self.filled_at).0.saturating_mul(per_minute) / 60;
        if gained > 0 {
            self.level = self.level.saturating_add(gained).min(full);
            self.filled_at = now;
        }
        if let Some(left) = self.level.checked_sub(1000) {
            self.level = left;
            return Ok(());
        }
        let missing = (1000 - self.level).saturating_mul(60);
        Err(Milliseconds(missing.div_ceil(per_minute.max(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        route: Vec<Route>,
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    fn providers() -> Vec<Known> {
        let known = |name: &str, dialect, keys| Known { name: name.to_owned(), dialect, keys };
        vec![
            known("openai", Dialect::OpenAi, 2),
            known("claude", Dialect::Anthropic, 1),
            known("local", Dialect::OpenAi, 1),
        ]
    }

    fn check(model: &str, dialect: Dialect, turn: usize) -> String {
        let text = r#"
            [[route]]
            model = ["gpt-*", "best"]
            to = [{ provider = "openai" }, { provider = "local", model = "qwen" }]
            [[route]]
            model = ["claude-*", "best"]
            to = [{ provider = "claude", model = "claude-opus" }]
        "#;
        let routes = toml::from_str::<File>(text).unwrap().route;
        let steps = steps(&routes, &providers(), model, dialect, turn);
        let show = |it: &Step<'_>| {
            format!("{}.{}:{}", it.way.provider, it.way.key, it.model.unwrap_or("="))
        };
        steps.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_model_leads_to_targets_in_order_and_keys_in_turn() {
        assert_eq!(check("gpt-5", Dialect::OpenAi, 0), "0.0:= 0.1:= 2.0:qwen");
        assert_eq!(check("gpt-5", Dialect::OpenAi, 1), "0.1:= 0.0:= 2.0:qwen");
        assert_eq!(check("best", Dialect::Anthropic, 0), "1.0:claude-opus");
        assert_eq!(check("claude-1", Dialect::OpenAi, 0), "", "no translation between formats");
        assert_eq!(check("other", Dialect::OpenAi, 0), "");
    }

    #[test]
    fn statuses_are_the_clients_matter_unless_another_way_may_do_better() {
        assert_eq!(fate_of_status(400), Fate::Answered);
        assert_eq!(fate_of_status(529), Fate::Failed);
        assert_eq!(fate_of_status(429), Fate::Limited);
        assert_eq!(fate_of_status(401), Fate::KeyRefused);
        for status in [402, 404] {
            assert_eq!(fate_of_status(status), Fate::Elsewhere);
        }
    }

    #[test]
    fn a_bucket_gives_a_minutes_worth_and_then_as_many_as_come_in() {
        let mut bucket = Bucket::full(60, at(0));
        for _ in 0..60 {
            bucket.take(60, at(0)).unwrap();
        }
        assert_eq!(bucket.take(60, at(0)), Err(Milliseconds(1000)));
        assert_eq!(bucket.take(60, Timestamp(400)), Err(Milliseconds(600)));
        bucket.take(60, at(1)).unwrap();
        assert!(bucket.take(60, at(1)).is_err());
    }

    #[test]
    fn a_clock_that_is_put_back_keeps_no_key_without_calls() {
        let mut bucket = Bucket::full(60, at(4000));
        for _ in 0..60 {
            bucket.take(60, at(4000)).unwrap();
        }
        assert!(bucket.take(60, at(400)).is_err());
        bucket.take(60, at(401)).unwrap();
    }
}

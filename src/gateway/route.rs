//! Which ways lead to a model, in which order they are tried, and when another is. Pure.

pub mod outage;

use std::collections::HashMap;

use serde::Deserialize;

use super::prices::matcher::Matcher;
use crate::model::{Milliseconds, Timestamp};
use crate::provider::Dialect;
use crate::provider::estimate::tokenizer::Tokenizer;
use outage::Outages;

/// Failures in a row after which a way is closed.
const FAILURES_TO_CLOSE: u32 = 5;
/// How long a way is closed at first; twice as long after each failed probe.
const CLOSED_FOR: Milliseconds = Milliseconds(2_000);
/// How long a way is closed at most.
const CLOSED_AT_MOST: Milliseconds = Milliseconds(60_000);
/// Models of a way that are closed apart from it.
const MODELS_MAX: usize = 1000;

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
    /// Another way may do better; this one has failed.
    Failed,
    /// The provider asks to be left alone for a while.
    Limited,
    /// The provider does not accept the key.
    KeyRefused,
    /// The provider does not let the key do this.
    ModelRefused,
    /// The provider does not have the model, or its account is empty: no failure, and the same each time.
    Elsewhere,
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

/// How a way has done lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Health {
    failures: u32,
    closed_until: Option<Timestamp>,
    /// One call is on its way to see whether the way is open again.
    has_probe: bool,
    closings: u32,
}

/// Circuit breakers. What a provider says of its limits, or of what a key may not use, is about one model: the
/// others of the way go on. A key that is refused, and a provider that fails, are about the way.
#[derive(Debug, Default)]
pub struct Breakers {
    /// What people were told of ways that fail.
    pub outages: Outages,
    ways: HashMap<Way, Health>,
    models: HashMap<Way, HashMap<String, Health>>,
}

impl Breakers {
    /// Whether a call to this model may go this way now. What is closed lets one call through when its time is over.
    pub fn admits(&mut self, (way, model): (Way, &str), now: Timestamp) -> bool {
        let mut found: Vec<_> = self.healths((way, model)).collect();
        let is_open = found.iter().all(|it| it.is_open(now));
        if is_open {
            for health in &mut found {
                health.has_probe = health.closed_until.is_some();
            }
        }
        is_open
    }

    /// Notes what became of a call. `retry_after` is the provider's own word.
    pub fn note(
        &mut self,
        (way, model): (Way, &str),
        fate: Fate,
        retry_after: Option<Milliseconds>,
        now: Timestamp,
    ) {
        self.release((way, model));
        match fate {
            Fate::Answered => {
                self.ways.remove(&way);
                if let Some(models) = self.models.get_mut(&way) {
                    models.remove(model);
                }
            }
            Fate::Limited => {
                let pause = retry_after.unwrap_or(CLOSED_FOR).min(CLOSED_AT_MOST);
                self.of_model((way, model), now).closed_until = Some(now.plus(pause));
            }
            Fate::ModelRefused => self.of_model((way, model), now).close(now),
            Fate::KeyRefused => self.ways.entry(way).or_default().close(now),
            Fate::Failed => self.ways.entry(way).or_default().fail(now),
            Fate::Elsewhere => {}
        }
    }

    /// A call that was admitted went nowhere: whoever comes next may probe.
    pub fn release(&mut self, lane: (Way, &str)) {
        for health in self.healths(lane) {
            health.has_probe = false;
        }
    }

    /// When the first of these opens again.
    #[must_use]
    pub fn opens_in<'a>(
        &self,
        lanes: impl Iterator<Item = (Way, &'a str)>,
        now: Timestamp,
    ) -> Milliseconds {
        let left = lanes.filter_map(|(way, model)| {
            let of_model = self.models.get(&way).and_then(|it| it.get(model)?.opens_in(now));
            self.ways.get(&way).and_then(|it| it.opens_in(now)).max(of_model)
        });
        left.min().unwrap_or(Milliseconds(1000))
    }

    fn healths(&mut self, (way, model): (Way, &str)) -> impl Iterator<Item = &mut Health> {
        let of_model = self.models.get_mut(&way).and_then(|it| it.get_mut(model));
        self.ways.get_mut(&way).into_iter().chain(of_model)
    }

    /// That of a model; of the way as a whole, where too many are closed already.
    fn of_model(&mut self, (way, model): (Way, &str), now: Timestamp) -> &mut Health {
        let models = self.models.entry(way).or_default();
        if models.len() >= MODELS_MAX {
            models.retain(|_, it| it.closed_until.is_some_and(|until| !is_over(until, now)));
        }
        if models.len() >= MODELS_MAX {
            return self.ways.entry(way).or_default();
        }
        models.entry(model.to_owned()).or_default()
    }
}

impl Health {
    fn is_open(&self, now: Timestamp) -> bool {
        self.closed_until.is_none_or(|until| is_over(until, now) && !self.has_probe)
    }

    /// When it opens again, if it is closed.
    fn opens_in(&self, now: Timestamp) -> Option<Milliseconds> {
        let until = self.closed_until?;
        Some(if is_over(until, now) { Milliseconds(0) } else { until.since(now) })
    }

    fn fail(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        // Who was closed before was probed now.
        if self.closed_until.is_some() || self.failures >= FAILURES_TO_CLOSE {
            self.close(now);
        }
    }

    /// For twice as long each time.
    fn close(&mut self, now: Timestamp) {
        let doubled = CLOSED_FOR.0.saturating_mul(1 << self.closings.min(10));
        self.closings = self.closings.saturating_add(1);
        self.closed_until = Some(now.plus(Milliseconds(doubled).min(CLOSED_AT_MOST)));
    }
}

/// Whether a pause is over. One that would still last longer than any does was set before the clock was put back.
fn is_over(until: Timestamp, now: Timestamp) -> bool {
    until <= now || until > now.plus(CLOSED_AT_MOST)
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

    const WAY: Way = Way { provider: 0, key: 0 };
    const LANE: (Way, &str) = (WAY, "m");

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
    fn a_way_that_fails_is_closed_probed_once_and_opened_again() {
        let mut breakers = Breakers::default();
        for _ in 0..FAILURES_TO_CLOSE {
            assert!(breakers.admits(LANE, at(0)));
            breakers.note(LANE, Fate::Failed, None, at(0));
        }
        assert!(!breakers.admits(LANE, at(1)));
        assert_eq!(breakers.opens_in(std::iter::once(LANE), at(1)), Milliseconds(1000));
        assert!(breakers.admits(LANE, at(2)), "one probe");
        assert!(!breakers.admits(LANE, at(2)), "and only one");
        breakers.note(LANE, Fate::Failed, None, at(2));
        assert!(!breakers.admits(LANE, at(5)), "closed for twice as long");
        assert!(breakers.admits(LANE, at(6)));
        breakers.note(LANE, Fate::Answered, None, at(6));
        assert!(breakers.admits(LANE, at(6)) && breakers.admits(LANE, at(6)));
    }

    #[test]
    fn a_limited_way_is_left_alone_for_as_long_as_it_says() {
        let mut breakers = Breakers::default();
        breakers.note(LANE, Fate::Limited, Some(Milliseconds(7000)), at(0));
        assert!(!breakers.admits(LANE, at(6)));
        assert!(breakers.admits(LANE, at(7)));
        breakers.release(LANE);
        assert!(breakers.admits(LANE, at(7)), "a probe that never went out is no probe");
    }

    #[test]
    fn a_provider_that_does_not_have_a_model_has_not_failed() {
        let mut breakers = Breakers::default();
        for _ in 0..3 * FAILURES_TO_CLOSE {
            breakers.note(LANE, Fate::Elsewhere, None, at(0));
            assert!(breakers.admits(LANE, at(0)));
        }
        // Nor does it say that a way which failed is well again.
        for _ in 0..FAILURES_TO_CLOSE {
            breakers.note(LANE, Fate::Failed, None, at(0));
        }
        breakers.note(LANE, Fate::Elsewhere, None, at(0));
        assert!(!breakers.admits(LANE, at(1)));
        assert!(breakers.admits(LANE, at(2)), "a probe");
        breakers.note(LANE, Fate::Elsewhere, None, at(2));
        assert!(breakers.admits(LANE, at(2)), "and another one");
    }

    #[test]
    fn a_clock_that_is_put_back_closes_no_way_for_longer_than_any_is_closed() {
        for fate in [Fate::Limited, Fate::ModelRefused, Fate::KeyRefused] {
            let mut breakers = Breakers::default();
            breakers.note(LANE, fate, Some(CLOSED_FOR), at(4000));
            assert!(!breakers.admits(LANE, at(3999)), "{fate:?}: it waits a little longer");
            assert_eq!(breakers.opens_in(std::iter::once(LANE), at(400)), Milliseconds(0));
            assert!(breakers.admits(LANE, at(400)), "{fate:?}: not for an hour");
            assert!(!breakers.admits(LANE, at(400)), "{fate:?}: it is a probe");
        }
        let mut bucket = Bucket::full(60, at(4000));
        for _ in 0..60 {
            bucket.take(60, at(4000)).unwrap();
        }
        assert!(bucket.take(60, at(400)).is_err());
        bucket.take(60, at(401)).unwrap();
    }

    #[test]
    fn what_is_about_a_model_closes_no_other() {
        const OTHER: (Way, &str) = (WAY, "other");
        for fate in [Fate::Limited, Fate::ModelRefused] {
            let mut breakers = Breakers::default();
            breakers.note(LANE, fate, None, at(0));
            assert!(!breakers.admits(LANE, at(1)) && breakers.admits(OTHER, at(1)), "{fate:?}");
            // That another is answered says nothing of this one.
            breakers.note(OTHER, Fate::Answered, None, at(1));
            assert!(!breakers.admits(LANE, at(1)));
            assert!(breakers.admits(LANE, at(2)) && !breakers.admits(LANE, at(2)), "one probe");
            breakers.note(LANE, Fate::Answered, None, at(2));
            assert!(breakers.admits(LANE, at(2)) && breakers.admits(LANE, at(2)));
        }
        let mut breakers = Breakers::default();
        breakers.note(LANE, Fate::KeyRefused, None, at(0));
        assert!(!breakers.admits(LANE, at(1)) && !breakers.admits(OTHER, at(1)), "the key is bad");
        // A refusal of a model is no failure of the way, whose probe it was.
        assert!(breakers.admits(OTHER, at(2)));
        breakers.note(OTHER, Fate::ModelRefused, None, at(2));
        assert!(breakers.admits(LANE, at(2)));
    }

    #[test]
    fn names_of_models_that_clients_invent_take_bounded_room() {
        let mut breakers = Breakers::default();
        for number in 0..3 * MODELS_MAX {
            breakers.note((WAY, &number.to_string()), Fate::ModelRefused, None, at(0));
        }
        assert_eq!(breakers.models[&WAY].len(), MODELS_MAX);
        assert!(!breakers.admits((WAY, "new"), at(1)), "the way as a whole is closed then");
        assert!(breakers.admits((WAY, "new"), at(60)));
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
}

//! When people are told that calls to a provider fail, and that it answers again: never oftener than once a minute
//! for each of its models. Pure.

use std::collections::HashMap;

use crate::model::{Milliseconds, Timestamp};

/// How often the same is told while it goes on.
const TELL_EVERY: Milliseconds = Milliseconds(60_000);
/// Models of a provider that are told of apart.
const MODELS_MAX: usize = 1000;

/// What was told of providers, by their place in the settings and the model's name there.
#[derive(Debug, Default)]
pub struct Outages {
    providers: HashMap<usize, HashMap<String, Outage>>,
}

#[derive(Debug)]
struct Outage {
    /// Failures that were not told of yet.
    failures: u64,
    began_at: Timestamp,
    told_at: Option<Timestamp>,
    /// Whether people believe that it fails.
    is_open: bool,
}

impl Outages {
    /// Notes a failure; how many there were since the last word on them, when one is due now.
    pub fn failed(&mut self, (provider, model): (usize, &str), now: Timestamp) -> Option<u64> {
        let models = self.providers.entry(provider).or_default();
        if models.len() >= MODELS_MAX && !models.contains_key(model) {
            models.retain(|_, it| it.is_open || it.rests(now));
        }
        let is_full = models.len() >= MODELS_MAX && !models.contains_key(model);
        // Clients invent names: what is too much is told of the provider as a whole.
        let model = if is_full { "" } else { model };
        let outage = models.entry(model.to_owned()).or_insert(Outage {
            failures: 0,
            began_at: now,
            told_at: None,
            is_open: false,
        });
        outage.failures = outage.failures.saturating_add(1);
        if outage.rests(now) {
            return None;
        }
        if !outage.is_open {
            outage.began_at = now;
        }
        outage.told_at = Some(now);
        outage.is_open = true;
        Some(std::mem::take(&mut outage.failures))
    }

    /// Notes an answer; for how long calls have failed, when people were told of it and not yet that it is over.
    pub fn answered(
        &mut self,
        (provider, model): (usize, &str),
        now: Timestamp,
    ) -> Option<Milliseconds> {
        let models = self.providers.get_mut(&provider)?;
        let model = if models.contains_key(model) { model } else { "" };
        let outage = models.get_mut(model).filter(|it| it.is_open)?;
        outage.is_open = false;
        Some(now.since(outage.began_at))
    }
}

impl Outage {
    fn rests(&self, now: Timestamp) -> bool {
        // What was told later than now was so before the clock was put back.
        self.told_at.is_some_and(|it| it <= now && now.since(it) < TELL_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: (usize, &str) = (0, "m");

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn failures_are_told_at_once_and_then_once_a_minute_with_their_number() {
        let mut outages = Outages::default();
        assert_eq!(outages.failed(LANE, at(0)), Some(1));
        for second in 1..60 {
            assert_eq!(outages.failed(LANE, at(second)), None, "{second}");
        }
        assert_eq!(outages.failed(LANE, at(60)), Some(60));
        assert_eq!(outages.failed(LANE, at(9)), Some(1), "the clock was put back");
        assert_eq!(outages.failed(LANE, at(10)), None);
        assert_eq!(outages.failed((0, "other"), at(60)), Some(1), "another model");
        assert_eq!(outages.failed((1, "m"), at(60)), Some(1), "another provider");
    }

    #[test]
    fn that_it_answers_again_is_told_once_and_only_after_a_failure_was() {
        let mut outages = Outages::default();
        assert_eq!(outages.answered(LANE, at(0)), None);
        outages.failed(LANE, at(0));
        assert_eq!(outages.answered((0, "other"), at(1)), None);
        assert_eq!(outages.answered(LANE, at(9)), Some(Milliseconds(9000)));
        assert_eq!(outages.answered(LANE, at(10)), None);
        // Every second call fails: no more is said than once a minute.
        assert_eq!(outages.failed(LANE, at(20)), None);
        assert_eq!(outages.answered(LANE, at(21)), None);
        assert_eq!(outages.failed(LANE, at(70)), Some(2));
        assert_eq!(outages.answered(LANE, at(71)), Some(Milliseconds(1000)));
    }

    #[test]
    fn names_of_models_that_clients_invent_take_bounded_room() {
        let mut outages = Outages::default();
        let told: Vec<_> = (0..3 * MODELS_MAX)
            .filter_map(|it| outages.failed((0, &it.to_string()), at(0)))
            .collect();
        assert_eq!(told.len(), MODELS_MAX + 1, "the last is the provider as a whole");
        assert_eq!(outages.providers[&0].len(), MODELS_MAX + 1);
        assert_eq!(outages.answered((0, "2999"), at(5)), Some(Milliseconds(5000)));
    }
}

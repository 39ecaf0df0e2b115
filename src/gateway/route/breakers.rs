//! Circuit breakers: what is closed because calls to it have failed, and when one call may try it again. Pure.

use std::collections::HashMap;

use super::outage::Outages;
use super::{Fate, Way};
use crate::model::{Milliseconds, Timestamp};

/// Failures in a row that close.
const FAILURES_TO_CLOSE: u32 = 5;
/// How long something is closed at first; twice as long after each failed probe.
const CLOSED_FOR: Milliseconds = Milliseconds(2_000);
/// How long it is closed at most.
const CLOSED_AT_MOST: Milliseconds = Milliseconds(60_000);
/// A probe that is under way for so long has reached its provider: what cannot be reached is known before.
const REACHED_AFTER: Milliseconds = Milliseconds(10_000);
/// Models of a way that are remembered.
const MODELS_MAX: usize = 1000;

/// Circuit breakers. What a provider answers, be it an error, is about one model of a key, by the name that is sent: its
/// others go on. A key that is refused is about the way, and a provider that cannot be reached about all of its ways.
#[derive(Debug, Default)]
pub struct Breakers {
    /// What people were told of ways that fail.
    pub outages: Outages,
    /// By the provider's place in the settings.
    providers: HashMap<usize, Health>,
    ways: HashMap<Way, Health>,
    models: HashMap<Way, HashMap<String, Health>>,
}

/// How something has done lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Health {
    failures: u32,
    closed_until: Option<Timestamp>,
    /// Since when one call is on its way to see whether it is open again.
    probed_at: Option<Timestamp>,
    closings: u32,
}

impl Breakers {
    /// Whether a call to this model may go this way now. What is closed lets one call through when its time is over.
    pub fn admits(&mut self, lane: (Way, &str), now: Timestamp) -> bool {
        let [provider, own @ ..] = self.healths(lane);
        let is_reached = provider.as_ref().is_none_or(|it| it.is_open(now) || it.is_reached(now));
        let is_open = is_reached && own.iter().flatten().all(|it| it.is_open(now));
        if is_open {
            let probed = own.into_iter().chain([provider]).flatten();
            for health in probed.filter(|it| it.closed_until.is_some()) {
                health.probed_at.get_or_insert(now);
            }
        }
        is_open
    }

    /// Notes what became of a call. `retry_after` is the provider's own word.
    pub fn note(
        &mut self,
        lane: (Way, &str),
        fate: Fate,
        retry_after: Option<Milliseconds>,
        now: Timestamp,
    ) {
        if fate == Fate::Answered {
            return self.forget(lane);
        }
        self.release(lane);
        let way = lane.0;
        if fate.has_reached() {
            self.providers.remove(&way.provider);
        }
        match fate {
            Fate::Limited => {
                let pause = retry_after.unwrap_or(CLOSED_FOR).min(CLOSED_AT_MOST);
                self.of_model(lane, now).closed_until = Some(now.plus(pause));
            }
            Fate::ModelRefused => self.of_model(lane, now).close(now),
            Fate::Failed => self.of_model(lane, now).fail(now),
            Fate::KeyRefused => self.ways.entry(way).or_default().close(now),
            Fate::Unreachable => self.providers.entry(way.provider).or_default().fail(now),
            Fate::Answered | Fate::Elsewhere => {}
        }
    }

    /// A call that was admitted went nowhere: whoever comes next may probe.
    pub fn release(&mut self, lane: (Way, &str)) {
        for health in self.healths(lane).into_iter().flatten() {
            health.probed_at = None;
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
            let of_model = self.models.get(&way).and_then(|it| it.get(model));
            let found = [self.providers.get(&way.provider), self.ways.get(&way), of_model];
            found.into_iter().flatten().filter_map(|it| it.opens_in(now)).max()
        });
        left.min().unwrap_or(Milliseconds(1000))
    }

    /// All is well with it. Where nothing has failed, which is nearly always, nothing is looked for.
    fn forget(&mut self, (way, model): (Way, &str)) {
        if self.providers.is_empty() && self.ways.is_empty() && self.models.is_empty() {
            return;
        }
        self.providers.remove(&way.provider);
        self.ways.remove(&way);
        let Some(models) = self.models.get_mut(&way) else { return };
        models.remove(model);
        if models.is_empty() {
            self.models.remove(&way);
        }
    }

    /// Those of the provider, of the way and of the model, where something has failed.
    fn healths(&mut self, (way, model): (Way, &str)) -> [Option<&mut Health>; 3] {
        let Self { providers, ways, models, .. } = self;
        let of_model = models.get_mut(&way).and_then(|it| it.get_mut(model));
        [providers.get_mut(&way.provider), ways.get_mut(&way), of_model]
    }

    /// That of a model. Clients invent names: where too many are closed already, it is that of the way as a whole.
    fn of_model(&mut self, (way, model): (Way, &str), now: Timestamp) -> &mut Health {
        let models = self.models.entry(way).or_default();
        if models.len() >= MODELS_MAX && !models.contains_key(model) {
            models.retain(|_, it| it.closed_until.is_some_and(|until| !is_over(until, now)));
            if models.len() >= MODELS_MAX {
                return self.ways.entry(way).or_default();
            }
        }
        models.entry(model.to_owned()).or_default()
    }
}

impl Health {
    fn is_open(&self, now: Timestamp) -> bool {
        self.closed_until.is_none_or(|until| is_over(until, now) && self.probed_at.is_none())
    }

    /// Whether its probe has been under way for so long that it must have gone out. An answer may take minutes.
    fn is_reached(&self, now: Timestamp) -> bool {
        let is_closed = self.closed_until.is_some_and(|until| !is_over(until, now));
        !is_closed && self.probed_at.is_some_and(|it| now.since(it) >= REACHED_AFTER)
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

    /// For twice as long each time. While it is closed no probe fails, but calls that had gone out before: however many
    /// those are, they are one failure.
    fn close(&mut self, now: Timestamp) {
        if self.closed_until.is_some_and(|until| !is_over(until, now)) {
            return;
        }
        let doubled = CLOSED_FOR.0.saturating_mul(1 << self.closings.min(10));
        self.closings = self.closings.saturating_add(1);
        self.closed_until = Some(now.plus(Milliseconds(doubled).min(CLOSED_AT_MOST)));
    }
}

/// Whether a pause is over. One that would still last longer than any does was set before the clock was put back.
fn is_over(until: Timestamp, now: Timestamp) -> bool {
    until <= now || until > now.plus(CLOSED_AT_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAY: Way = Way { provider: 0, key: 0 };
    const LANE: (Way, &str) = (WAY, "m");
    const OTHER: (Way, &str) = (WAY, "other");
    /// The same model by another key of the provider.
    const OTHER_KEY: (Way, &str) = (Way { provider: 0, key: 1 }, "m");

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    /// Breakers of which this has failed as often as it takes.
    fn after(fate: Fate) -> Breakers {
        let mut breakers = Breakers::default();
        for _ in 0..FAILURES_TO_CLOSE {
            assert!(breakers.admits(LANE, at(0)));
            breakers.note(LANE, fate, None, at(0));
        }
        breakers
    }

    #[test]
    fn a_model_that_fails_is_closed_probed_once_and_opened_again() {
        let mut breakers = after(Fate::Failed);
        assert!(!breakers.admits(LANE, at(1)));
        assert_eq!(breakers.opens_in(std::iter::once(LANE), at(1)), Milliseconds(1000));
        assert!(breakers.admits(LANE, at(2)), "one probe");
        assert!(!breakers.admits(LANE, at(2)), "and only one");
        breakers.note(LANE, Fate::Failed, None, at(2));
        assert!(!breakers.admits(LANE, at(5)), "closed for twice as long");
        assert!(breakers.admits(LANE, at(6)));
        breakers.note(LANE, Fate::Answered, None, at(6));
        assert!(breakers.admits(LANE, at(6)) && breakers.admits(LANE, at(6)));
        assert!(breakers.models.is_empty(), "nothing is looked for any more");
    }

    #[test]
    fn a_model_that_fails_closes_no_other_and_no_other_key() {
        let mut breakers = after(Fate::Failed);
        assert!(!breakers.admits(LANE, at(1)));
        assert!(breakers.admits(OTHER, at(1)) && breakers.admits(OTHER_KEY, at(1)));
        // That another is answered says nothing of this one.
        breakers.note(OTHER, Fate::Answered, None, at(1));
        assert!(!breakers.admits(LANE, at(1)));
        assert!(breakers.admits(LANE, at(2)), "a probe");
    }

    #[test]
    fn calls_that_fail_at_the_same_time_close_for_no_longer_than_one() {
        for fate in [Fate::Failed, Fate::Unreachable, Fate::ModelRefused, Fate::KeyRefused] {
            let mut breakers = Breakers::default();
            for _ in 0..100 {
                assert!(breakers.admits(LANE, at(0)));
            }
            for _ in 0..100 {
                breakers.note(LANE, fate, None, at(0));
            }
            assert!(!breakers.admits(LANE, at(1)), "{fate:?}");
            assert!(breakers.admits(LANE, at(2)), "{fate:?}: a probe");
            breakers.note(LANE, fate, None, at(2));
            assert!(!breakers.admits(LANE, at(5)), "{fate:?}: closed for twice as long");
            assert!(breakers.admits(LANE, at(6)), "{fate:?}");
        }
    }

    #[test]
    fn a_provider_that_cannot_be_reached_is_closed_for_all_its_keys_and_models() {
        let mut breakers = Breakers::default();
        for number in 0..FAILURES_TO_CLOSE {
            let key = usize::from(number % 2 == 0);
            breakers.note((Way { key, ..WAY }, "m"), Fate::Unreachable, None, at(0));
        }
        for lane in [LANE, OTHER, OTHER_KEY] {
            assert!(!breakers.admits(lane, at(1)), "{lane:?}");
            assert_eq!(breakers.opens_in(std::iter::once(lane), at(1)), Milliseconds(1000));
        }
        assert!(breakers.admits((Way { provider: 1, key: 0 }, "m"), at(1)), "another provider");
        assert!(breakers.admits(OTHER, at(2)), "one probe");
        assert!(!breakers.admits(LANE, at(2)) && !breakers.admits(OTHER_KEY, at(2)), "for all");
        breakers.note(OTHER, Fate::Unreachable, None, at(2));
        assert!(!breakers.admits(LANE, at(5)), "closed for twice as long");
        // That it answers, whatever it says, opens it.
        assert!(breakers.admits(OTHER, at(6)));
        breakers.note(OTHER, Fate::Limited, None, at(6));
        assert!(breakers.admits(LANE, at(6)) && breakers.admits(OTHER_KEY, at(6)));
        assert!(!breakers.admits(OTHER, at(6)));
    }

    #[test]
    fn a_probe_that_waits_for_its_answer_keeps_no_provider_closed() {
        let mut breakers = after(Fate::Unreachable);
        assert!(breakers.admits(LANE, at(2)), "a probe");
        assert!(!breakers.admits(OTHER, at(11)));
        assert!(breakers.admits(OTHER, at(12)) && breakers.admits(OTHER_KEY, at(12)));
        breakers.note(OTHER, Fate::Unreachable, None, at(13));
        assert!(!breakers.admits(OTHER, at(14)), "it was not");
        // Of a model that fails there is one alone, however long it takes.
        let mut breakers = after(Fate::Failed);
        assert!(breakers.admits(LANE, at(2)) && !breakers.admits(LANE, at(60)));
    }

    #[test]
    fn a_limited_model_is_left_alone_for_as_long_as_its_provider_says() {
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
        // Nor does it say that a model which failed is well again.
        let mut breakers = after(Fate::Failed);
        breakers.note(LANE, Fate::Elsewhere, None, at(0));
        assert!(!breakers.admits(LANE, at(1)));
        assert!(breakers.admits(LANE, at(2)), "a probe");
        breakers.note(LANE, Fate::Elsewhere, None, at(2));
        assert!(breakers.admits(LANE, at(2)), "and another one");
    }

    #[test]
    fn a_clock_that_is_put_back_closes_nothing_for_longer_than_anything_is_closed() {
        for fate in [Fate::Limited, Fate::ModelRefused, Fate::KeyRefused] {
            let mut breakers = Breakers::default();
            breakers.note(LANE, fate, Some(CLOSED_FOR), at(4000));
            assert!(!breakers.admits(LANE, at(3999)), "{fate:?}: it waits a little longer");
            assert_eq!(breakers.opens_in(std::iter::once(LANE), at(400)), Milliseconds(0));
            assert!(breakers.admits(LANE, at(400)), "{fate:?}: not for an hour");
            assert!(!breakers.admits(LANE, at(400)), "{fate:?}: it is a probe");
        }
    }

    #[test]
    fn what_is_about_a_model_closes_no_other() {
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
        assert!(breakers.admits(OTHER_KEY, at(1)), "another one may be good");
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
        // One that is remembered stays so however many there are.
        let mut breakers = Breakers::default();
        for number in 1..MODELS_MAX {
            breakers.note((WAY, &number.to_string()), Fate::ModelRefused, None, at(0));
        }
        for _ in 0..FAILURES_TO_CLOSE {
            breakers.note(LANE, Fate::Failed, None, at(0));
        }
        assert!(!breakers.admits(LANE, at(1)) && breakers.admits(OTHER, at(1)));
        // Those that failed a little, and are not closed, make room.
        for number in 0..3 * MODELS_MAX {
            breakers.note((WAY, &format!("x{number}")), Fate::Failed, None, at(3));
            assert!(breakers.models[&WAY].len() <= MODELS_MAX);
        }
        assert!(breakers.admits((WAY, "new"), at(3)), "nothing is closed for it");
    }
}

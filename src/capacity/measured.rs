//! What calls that were made say of a load: how many at the busiest, how long, how many tokens. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::float;
use crate::model::{Timestamp, UsdNanos};

/// The span that counts as "at the busiest".
const MINUTE_MS: i64 = 60_000;
/// Seconds that rates are made of at least: one call that took a millisecond is not a thousand a second.
const SPAN_AT_LEAST: f64 = 1.0;

/// One call that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub total_ms: u64,
    /// Tokens of its prompt.
    pub input_tokens: u64,
    /// Tokens of its answer.
    pub output_tokens: u64,
    /// What it cost.
    pub cost: UsdNanos,
}

/// What many calls say together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// How many calls.
    pub calls: u64,
    /// Seconds from the first beginning to the last end.
    pub seconds: f64,
    /// Calls a second over that time.
    pub average_qps: f64,
    /// Calls a second in the busiest minute, by their beginnings; over all the time that was measured where that is
    /// shorter than a minute.
    pub busiest_qps: f64,
    /// Tokens a second that were answered in the busiest minute: what was seen, which may be less than what
    /// would be possible.
    pub busiest_tokens_per_second: f64,
    /// Tokens of a prompt, on average.
    pub tokens_per_prompt: f64,
    /// Tokens of an answer, on average.
    pub tokens_per_response: f64,
    /// Seconds of a call, on average.
    pub seconds_per_response: f64,
    /// Calls at the same time, on average over the busiest minute.
    pub in_flight: f64,
    /// The same by Little's law: the calls a second of that minute times the seconds of its calls.
    pub in_flight_by_little: f64,
    /// Calls at the same time, at most.
    pub in_flight_at_most: u64,
    /// What a call cost, on average.
    pub cost_per_call: UsdNanos,
}

impl Measured {
    /// How far Little's law is from what was counted, as a share of the larger. Far apart, the minute was no
    /// steady state: calls piled up in it, or were left over from before, and its figures say little.
    #[must_use]
    pub fn disagreement(&self) -> f64 {
        let larger = self.in_flight.max(self.in_flight_by_little);
        if larger <= 0.0 {
            return 0.0;
        }
        (self.in_flight - self.in_flight_by_little).abs() / larger
    }
}

/// One minute.
#[derive(Debug, Clone, Copy, Default)]
struct Minute {
    begun: u64,
    /// How long those that began in it took.
    took_ms: u64,
    /// Milliseconds that calls spent in it.
    spent_ms: f64,
    /// Tokens that were answered in it.
    tokens: f64,
}

/// What the calls say; `None` when there is none.
#[must_use]
pub fn measure(calls: &[Call]) -> Option<Measured> {
    let first = calls.iter().map(|it| it.at.0).min()?;
    let last = calls.iter().map(end).max()?;
    let seconds = ms(last - first).max(1.0) / 1000.0;
    let count = calls.len() as u64;
    let average = |of: fn(&Call) -> u64| {
        float(calls.iter().map(of).fold(0, u64::saturating_add)) / float(count)
    };
    let minutes = minutes(calls);
    let busiest = minutes.values().max_by_key(|it| it.begun).copied().unwrap_or_default();
    // A whole minute, unless all that was measured is shorter: then that, which is no busiest minute.
    let span = seconds.clamp(SPAN_AT_LEAST, ms(MINUTE_MS) / 1000.0);
    let busiest_qps = float(busiest.begun) / span;
    let mean_seconds = float(busiest.took_ms) / float(busiest.begun.max(1)) / 1000.0;
    let tokens = minutes.values().map(|it| it.tokens).fold(0.0, f64::max);
    let cost = calls.iter().map(|it| it.cost.0).fold(0, i64::saturating_add);
    Some(Measured {
        calls: count,
        seconds,
        average_qps: float(count) / seconds.max(SPAN_AT_LEAST),
        busiest_qps,
        busiest_tokens_per_second: tokens / span,
        tokens_per_prompt: average(|it| it.input_tokens),
        tokens_per_response: average(|it| it.output_tokens),
        seconds_per_response: average(|it| it.total_ms) / 1000.0,
        in_flight: busiest.spent_ms / 1000.0 / span,
        in_flight_by_little: busiest_qps * mean_seconds,
        in_flight_at_most: at_most(calls),
        cost_per_call: UsdNanos(cost / i64::try_from(count).unwrap_or(i64::MAX).max(1)),
    })
}

fn minutes(calls: &[Call]) -> BTreeMap<i64, Minute> {
    let mut minutes: BTreeMap<i64, Minute> = BTreeMap::new();
    for call in calls {
        let (begin, end) = (call.at.0, end(call));
        let minute = minutes.entry(begin.div_euclid(MINUTE_MS)).or_default();
        minute.begun += 1;
        minute.took_ms = minute.took_ms.saturating_add(call.total_ms);
        let length = ms(end - begin).max(1.0);
        for index in begin.div_euclid(MINUTE_MS)..=(end - 1).max(begin).div_euclid(MINUTE_MS) {
            let from = begin.max(index * MINUTE_MS);
            let to = end.min((index + 1) * MINUTE_MS);
            let part = ms((to - from).max(0));
            let minute = minutes.entry(index).or_default();
            minute.spent_ms += part;
            // Answers come evenly over their calls, as far as a ledger knows.
            let share = if call.total_ms == 0 { 1.0 } else { part / length };
            minute.tokens += float(call.output_tokens) * share;
        }
    }
    minutes
}

/// Calls at the same time, at most: those that begin and end, in order.
fn at_most(calls: &[Call]) -> u64 {
    let begins = calls.iter().map(|it| (it.at.0, 1_i64));
    let mut changes: Vec<_> = begins.chain(calls.iter().map(|it| (end(it), -1))).collect();
    // A call that ends makes room for one that begins in the same millisecond.
    changes.sort_unstable();
    let mut now = 0_i64;
    let most = changes.iter().map(|it| {
        now += it.1;
        now
    });
    u64::try_from(most.max().unwrap_or_default()).unwrap_or_default()
}

fn end(call: &Call) -> i64 {
    call.at.plus(crate::model::Milliseconds(call.total_ms)).0
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a trial, far below 2^52")]
fn ms(span: i64) -> f64 {
    span as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(at: i64, total_ms: u64) -> Call {
        let at = Timestamp(at);
        Call { at, total_ms, input_tokens: 100, output_tokens: 50, cost: UsdNanos(7) }
    }

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-6 * right.abs().max(1.0)
    }

    #[test]
    fn a_steady_load_is_as_littles_law_says() {
        // Ten calls a second for three minutes, two seconds each: twenty at the same time.
        let calls: Vec<_> = (0..1800).map(|it| call(it * 100, 2000)).collect();
        let measured = measure(&calls).unwrap();
        assert!(close(measured.busiest_qps, 10.0), "{measured:?}");
        assert!(close(measured.in_flight_by_little, 20.0), "{measured:?}");
        assert!(measured.disagreement() < 0.05, "{measured:?}");
        assert_eq!((measured.in_flight_at_most, measured.calls), (20, 1800));
        assert!(close(measured.busiest_tokens_per_second, 500.0), "{measured:?}");
        assert!(close(measured.tokens_per_response, 50.0) && measured.cost_per_call.0 == 7);
    }

    #[test]
    fn calls_that_pile_up_are_no_steady_load() {
        // Six hundred begin at the end of a minute, and take three: little of them lies in it.
        let calls: Vec<_> = (0..600).map(|it| call(50_000 + it * 10, 180_000)).collect();
        let measured = measure(&calls).unwrap();
        assert!(measured.disagreement() > 0.5, "{measured:?}");
    }

    #[test]
    fn a_trial_of_a_few_seconds_counts_its_own_time() {
        let calls: Vec<_> = (0..100).map(|it| call(it * 100, 100)).collect();
        let measured = measure(&calls).unwrap();
        assert!(close(measured.busiest_qps, 10.0) && close(measured.average_qps, 10.0));
        assert_eq!(measured.in_flight_at_most, 1);
        assert_eq!(measure(&[]), None);
    }

    #[test]
    fn a_burst_counts_over_the_whole_minute() {
        let mut calls: Vec<_> = (0..60).map(|it| call(it * 10, 20)).collect();
        calls.push(call(600_000, 20));
        let measured = measure(&calls).unwrap();
        assert!(close(measured.busiest_qps, 1.0), "{measured:?}");
        assert!(close(measured.busiest_tokens_per_second, 50.0), "{measured:?}");
        assert!(measured.average_qps < 0.11, "{measured:?}");
    }

    #[test]
    fn calls_that_take_no_time_make_no_rates_beyond_their_number() {
        for total_ms in [0, 1, 3] {
            let measured = measure(&[call(0, total_ms), call(0, total_ms)]).unwrap();
            assert!(close(measured.busiest_qps, 2.0) && close(measured.average_qps, 2.0));
            assert!(close(measured.busiest_tokens_per_second, 100.0), "{measured:?}");
            assert!(measured.disagreement() < 0.01, "{measured:?}");
        }
    }

    #[test]
    fn an_answer_over_two_minutes_is_shared_between_them() {
        let calls = [call(59_000, 2000)];
        let minutes = minutes(&calls);
        let tokens: Vec<_> = minutes.values().map(|it| it.tokens).collect();
        assert_eq!(tokens, [25.0, 25.0]);
    }
}

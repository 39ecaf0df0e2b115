//! How many replicas of a model a load needs, and what they cost a month. Pure: what is known of the load is
//! given, or measured from calls that were made.

pub mod measured;

use serde::Serialize;

use crate::model::UsdNanos;

/// Hours of a month, on average.
pub const HOURS_A_MONTH: f64 = 730.0;
/// What is kept free: 30 % of what the load needs.
pub const HEADROOM: f64 = 0.30;
/// More replicas than this are a mistake in the figures.
const REPLICAS_AT_MOST: f64 = 1_000_000.0;

/// What users ask for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// Calls a second, at the busiest.
    pub qps: f64,
    /// Tokens of an answer, on average.
    pub tokens_per_response: f64,
    /// Seconds that a call takes from its beginning to its end, on average.
    pub seconds_per_response: Option<f64>,
}

/// What one replica of the model gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Replica {
    /// Tokens a second, of all its answers together.
    pub tokens_per_second: f64,
    /// Calls that it works on at the same time, at most.
    pub slots: Option<f64>,
}

/// What decides how many replicas there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitedBy {
    /// Tokens a second.
    Tokens,
    /// Calls at the same time.
    Slots,
}

/// How many replicas there have to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// What it was made for.
    pub load: Load,
    /// With what.
    pub replica: Replica,
    /// The share that is kept free.
    pub headroom: f64,
    /// Tokens a second that the load needs.
    pub tokens_per_second: f64,
    /// How many replicas.
    pub replicas: u64,
    /// How many for the tokens alone.
    pub replicas_for_tokens: u64,
    /// How many for the calls at the same time alone.
    pub replicas_for_slots: Option<u64>,
    /// What decides.
    pub limited_by: LimitedBy,
    /// How much of their tokens a second is used at the busiest.
    pub utilisation: f64,
    /// Calls at the same time (Little's law: rate times time).
    pub in_flight: Option<f64>,
    /// Of those, what each replica has to hold.
    pub in_flight_per_replica: Option<f64>,
    /// Tokens a second of one answer.
    pub tokens_per_second_of_a_call: Option<f64>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// A figure that cannot be.
    #[error("{0} must be a number above 0")]
    NotPositive(&'static str),
    /// A figure that cannot be.
    #[error("the headroom must be a number from 0 to 10 (0.3 is 30 %)")]
    Headroom,
    /// The figures contradict each other.
    #[error("that would be over a million replicas: the figures cannot be right")]
    TooMany,
}

/// Replicas = ceil(calls a second x tokens of an answer / tokens a second of a replica x (1 + headroom)), and
/// where it is known how many calls a replica holds, as many as the calls at the same time need.
pub fn plan(load: Load, replica: Replica, headroom: f64) -> Result<Plan, NoPlan> {
    let figures = [
        ("the calls a second", Some(load.qps)),
        ("the tokens of an answer", Some(load.tokens_per_response)),
        ("the seconds of an answer", load.seconds_per_response),
        ("the tokens a second of a replica", Some(replica.tokens_per_second)),
        ("the calls of a replica at the same time", replica.slots),
    ];
    for (name, figure) in figures {
        if figure.is_some_and(|it| !it.is_finite() || it <= 0.0) {
            return Err(NoPlan::NotPositive(name));
        }
    }
    if !(0.0..=10.0).contains(&headroom) {
        return Err(NoPlan::Headroom);
    }
    let tokens_per_second = load.qps * load.tokens_per_response;
    let in_flight = load.seconds_per_response.map(|it| load.qps * it);
    let with_headroom = |needed: f64| whole(needed * (1.0 + headroom));
    let for_tokens = with_headroom(tokens_per_second / replica.tokens_per_second)?;
    let for_slots = in_flight.zip(replica.slots);
    let for_slots = for_slots.map(|it| with_headroom(it.0 / it.1)).transpose()?;
    let replicas = for_tokens.max(for_slots.unwrap_or(1));
    let count = float(replicas);
    Ok(Plan {
        load,
        replica,
        headroom,
        tokens_per_second,
        replicas,
        replicas_for_tokens: for_tokens,
        replicas_for_slots: for_slots,
        limited_by: if replicas > for_tokens { LimitedBy::Slots } else { LimitedBy::Tokens },
        utilisation: tokens_per_second / (replica.tokens_per_second * count),
        in_flight,
        in_flight_per_replica: in_flight.map(|it| it / count),
        tokens_per_second_of_a_call: load
            .seconds_per_response
            .map(|it| load.tokens_per_response / it),
    })
}

/// At least one, and rounded up; a hair above a whole number is an error of the arithmetic.
fn whole(replicas: f64) -> Result<u64, NoPlan> {
    let up = (replicas - 1e-9).ceil().max(1.0);
    if !up.is_finite() || up > REPLICAS_AT_MOST {
        return Err(NoPlan::TooMany);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let up = up as u64;
    Ok(up)
}

/// What so many replicas cost a month.
#[must_use]
pub fn month_of_replicas(replicas: u64, usd_an_hour: UsdNanos) -> UsdNanos {
    scaled(usd_an_hour, float(replicas) * HOURS_A_MONTH)
}

/// What so many calls a second, all month, cost.
#[must_use]
pub fn month_of_calls(average_qps: f64, cost_of_a_call: UsdNanos) -> UsdNanos {
    scaled(cost_of_a_call, average_qps * HOURS_A_MONTH * 3600.0)
}

fn scaled(amount: UsdNanos, by: f64) -> UsdNanos {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let scaled = amount.0 as f64 * by;
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and is an estimate")]
    let nanos = scaled.round() as i64;
    UsdNanos(nanos)
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "figures of people, far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(qps: f64, tokens: f64, seconds: Option<f64>) -> Load {
        Load { qps, tokens_per_response: tokens, seconds_per_response: seconds }
    }

    fn replica(tokens_per_second: f64, slots: Option<f64>) -> Replica {
        Replica { tokens_per_second, slots }
    }

    #[test]
    fn replicas_are_what_the_tokens_need_and_thirty_percent_more() {
        let plan = plan(load(20.0, 350.0, None), replica(2500.0, None), HEADROOM).unwrap();
        // 20 x 350 = 7,000; / 2,500 = 2.8; x 1.3 = 3.64.
        assert_eq!((plan.replicas, plan.limited_by), (4, LimitedBy::Tokens));
        assert!((plan.utilisation - 0.7).abs() < 1e-9, "{plan:?}");
        assert_eq!((plan.in_flight, plan.replicas_for_slots), (None, None));
    }

    #[test]
    fn a_whole_number_of_replicas_is_not_rounded_up() {
        let exact = |headroom| plan(load(10.0, 100.0, None), replica(100.0, None), headroom);
        assert_eq!(exact(0.3).unwrap().replicas, 13);
        assert_eq!(exact(0.0).unwrap().replicas, 10);
        let small = plan(load(0.001, 1.0, None), replica(1000.0, None), HEADROOM).unwrap();
        assert_eq!(small.replicas, 1);
    }

    #[test]
    fn slow_answers_need_more_replicas_than_their_tokens_say() {
        let slow = load(20.0, 350.0, Some(14.0));
        let plan = plan(slow, replica(2500.0, Some(64.0)), HEADROOM).unwrap();
        // 20 x 14 = 280 at the same time; / 64 = 4.375; x 1.3 = 5.69.
        assert_eq!((plan.replicas, plan.replicas_for_tokens), (6, 4));
        assert_eq!((plan.limited_by, plan.in_flight), (LimitedBy::Slots, Some(280.0)));
        assert_eq!(plan.tokens_per_second_of_a_call, Some(25.0));
    }

    #[test]
    fn figures_that_cannot_be_are_refused_by_name() {
        let wrong = plan(load(0.0, 1.0, None), replica(1.0, None), HEADROOM);
        assert_eq!(wrong, Err(NoPlan::NotPositive("the calls a second")));
        let wrong = plan(load(1.0, f64::NAN, None), replica(1.0, None), HEADROOM);
        assert_eq!(wrong, Err(NoPlan::NotPositive("the tokens of an answer")));
        assert_eq!(plan(load(1.0, 1.0, None), replica(1.0, None), -0.1), Err(NoPlan::Headroom));
        let many = plan(load(1e9, 1e6, None), replica(1.0, None), HEADROOM);
        assert_eq!(many, Err(NoPlan::TooMany));
    }

    #[test]
    fn a_month_has_730_hours_of_replicas_or_calls() {
        let hour = UsdNanos(2 * UsdNanos::PER_USD + UsdNanos::PER_USD / 2);
        assert_eq!(month_of_replicas(4, hour), UsdNanos(7300 * UsdNanos::PER_USD));
        let call = UsdNanos(1_000_000);
        assert_eq!(month_of_calls(2.0, call), UsdNanos(5256 * UsdNanos::PER_USD));
    }
}

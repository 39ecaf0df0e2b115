//! How badly the world treats its callers. A fault depends on the seed, the call and its number only.

use std::time::Duration;

use trunkline::executor::ExecutorError;

use crate::chance::{Dice, Seed};

/// How many of 100 calls go wrong, and what else happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    seed: Seed,
    pub(crate) faults_percent: u32,
    pub(crate) vanish_percent: u32,
    /// From when until when nothing is answered at all, in milliseconds.
    outage: Option<(u64, u64)>,
}

/// What becomes of one call.
#[derive(Debug)]
pub(crate) struct Mood {
    pub(crate) latency: Duration,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// It does not happen.
    Refused,
    /// It happens, and the caller never learns of it.
    AnswerLost,
}

impl Weather {
    /// Nothing goes wrong.
    pub(crate) fn calm(seed: Seed) -> Self {
        Self { seed, faults_percent: 0, vanish_percent: 0, outage: None }
    }

    /// Something may.
    pub(crate) fn stormy(seed: Seed) -> Self {
        let mut dice = seed.dice("weather");
        let outage = dice.percent(15).then(|| {
            let from = dice.between(0, 6_000);
            (from, from + dice.between(100, 3_000))
        });
        let faults_percent = dice.pick(&[0, 1, 3, 8, 20]);
        let vanish_percent = dice.pick(&[0, 0, 2, 10]);
        Self { seed, faults_percent, vanish_percent, outage }
    }

    pub(crate) fn dice(&self, matter: impl std::hash::Hash) -> Dice {
        self.seed.dice(matter)
    }

    /// The mood for the call of this number at this moment.
    pub(crate) fn mood(&self, call: &str, on: &str, number: u64, now_ms: u64) -> Mood {
        let mut dice = self.seed.dice((call, on, number));
        let mut latency = Duration::from_millis(dice.between(0, 10));
        let mut fault = Fault::None;
        if dice.percent(self.faults_percent) {
            match dice.count(0, 3) {
                0 => latency = Duration::from_millis(dice.between(500, 15_000)),
                1 => fault = Fault::AnswerLost,
                _ => fault = Fault::Refused,
            }
        }
        if self.outage.is_some_and(|(from, to)| (from..to).contains(&now_ms)) {
            fault = Fault::Refused;
        }
        Mood { latency, fault }
    }
}

impl Mood {
    /// Fails when the call does not happen.
    pub(crate) fn before(&self, call: &str) -> Result<(), ExecutorError> {
        if self.fault == Fault::Refused { Err(broken(call)) } else { Ok(()) }
    }

    /// Fails when it happened and the answer is lost.
    pub(crate) fn after<T>(&self, call: &str, answer: T) -> Result<T, ExecutorError> {
        if self.fault == Fault::AnswerLost { Err(broken(call)) } else { Ok(answer) }
    }
}

pub(crate) fn broken(call: &str) -> ExecutorError {
    let (operation, reason) = (call.to_owned(), "the weather is bad".to_owned());
    ExecutorError::Unavailable { operation, reason }
}

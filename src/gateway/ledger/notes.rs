//! What the calls of one attempt of a stage came to, for whoever runs it: sums, and what was refused.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Row, Sum};
use crate::provider::refusal::Refusal;

/// Missing recordings that are named.
const MISSES_SHOWN: usize = 3;

/// Notes on one attempt.
#[derive(Debug, Default)]
pub struct Notes {
    state: Mutex<State>,
    /// What the first budget said that refused a call.
    budget: watch::Sender<Option<String>>,
}

#[derive(Debug, Default)]
struct State {
    sum: Sum,
    misses: Vec<String>,
    more_misses: u64,
}

impl Notes {
    /// Of an attempt whose calls came to this so far.
    #[must_use]
    pub fn of(sum: Sum) -> Self {
        let state = Mutex::new(State { sum, ..State::default() });
        Self { state, ..Self::default() }
    }

    /// Counts a call.
    pub fn count(&self, row: &Row) {
        self.lock().sum.add(row);
    }

    /// Notes a refusal that whoever runs the attempt must know of.
    pub fn refuse(&self, refusal: &Refusal) {
        match refusal {
            Refusal::Budget { message, .. } => {
                self.budget.send_if_modified(|it| {
                    let is_first = it.is_none();
                    it.get_or_insert_with(|| message.clone());
                    is_first
                });
            }
            Refusal::CassetteMiss { message } => self.lock().miss(message),
            Refusal::Unauthorized
            | Refusal::Forbidden(_)
            | Refusal::NotFound(_)
            | Refusal::Unreadable(_)
            | Refusal::TooLarge { .. }
            | Refusal::Rate { .. }
            | Refusal::Full { .. }
            | Refusal::Guardrail { .. }
            | Refusal::Upstream(_)
            | Refusal::Unavailable { .. }
            | Refusal::Away { .. }
            | Refusal::Unreported { .. }
            | Refusal::Timeout(_) => {}
        }
    }

    /// The sums so far.
    #[must_use]
    pub fn sum(&self) -> Sum {
        self.lock().sum
    }

    /// What the first budget said that refused a call.
    #[must_use]
    pub fn refused_by_budget(&self) -> Option<String> {
        self.budget.borrow().clone()
    }

    /// Calls that were not recorded: the first few, and how many more.
    #[must_use]
    pub fn misses(&self) -> (Vec<String>, u64) {
        let state = self.lock();
        (state.misses.clone(), state.more_misses)
    }

    /// Waits until a budget refuses a call.
    pub async fn wait_for_budget(&self) {
        let mut budget = self.budget.subscribe();
        // The sender is ours, so it does not end before.
        let _refused = budget.wait_for(Option::is_some).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn miss(&mut self, message: &str) {
        if self.misses.iter().any(|it| it == message) {
            return;
        }
        if self.misses.len() < MISSES_SHOWN {
            self.misses.push(message.to_owned());
        } else {
            self.more_misses = self.more_misses.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_refusal_of_a_budget_is_told_and_other_refusals_are_not() {
        let notes = Notes::default();
        notes.refuse(&Refusal::Unauthorized);
        assert_eq!(notes.refused_by_budget(), None);
        for message in ["first", "second"] {
            let (budget, message) = ("b".to_owned(), message.to_owned());
            notes.refuse(&Refusal::Budget { budget, message });
        }
        notes.wait_for_budget().await;
        assert_eq!(notes.refused_by_budget().as_deref(), Some("first"));
    }

    #[test]
    fn a_few_missing_recordings_are_named_each_once() {
        let notes = Notes::default();
        for message in ["a", "b", "a", "c", "d", "e"] {
            notes.refuse(&Refusal::CassetteMiss { message: message.to_owned() });
        }
        assert_eq!(notes.misses(), (["a", "b", "c"].map(str::to_owned).to_vec(), 2));
    }
}

//! What the calls of one attempt of a stage came to, for whoever runs it: sums, and what was refused. Knows which of
//! them are under way, and ends those of an attempt that is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Origin, Row, Sum};
use crate::model::UsdNanos;
use crate::provider::refusal::Refusal;

/// How the refusal of a call begins whose provider's key is not there.
pub const NO_KEY: &str = "the gateway has no key for the provider";
/// Missing recordings that are named, and calls that were forbidden.
const MISSES_SHOWN: usize = 3;
/// How often it is looked whether the last call has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Notes on one attempt. Clones are the same notes.
#[derive(Debug, Clone, Default)]
pub struct Notes(Arc<Sheet>);

#[derive(Debug, Default)]
struct Sheet {
    state: Mutex<State>,
    /// What the first budget said that refused a call.
    budget: watch::Sender<Option<String>>,
    /// Ends its calls; none where nobody may.
    stop: Option<CancellationToken>,
}

/// A call: the client's request, and which attempt at it.
type CallName = (String, u32);

#[derive(Debug, Default)]
struct State {
    sum: Sum,
    /// Calls that went out and are not settled, and what is reserved for each.
    open: BTreeMap<CallName, UsdNanos>,
    misses: Vec<String>,
    more_misses: u64,
    /// Why calls were forbidden, the first few.
    forbidden: Vec<String>,
}

impl Notes {
    /// Of an attempt whose calls came to this so far, and are ended by `stop`.
    #[must_use]
    pub fn of(sum: Sum, stop: CancellationToken) -> Self {
        let state = Mutex::new(State { sum, ..State::default() });
        Self(Arc::new(Sheet { state, stop: Some(stop), ..Sheet::default() }))
    }

    /// What ends its calls, where somebody may: what they have used until then is settled.
    #[must_use]
    pub fn stopping(&self) -> Option<&CancellationToken> {
        self.0.stop.as_ref()
    }

    /// Notes that a call is about to go out, for which the row says what is reserved. What is answered from here costs
    /// nothing and is not waited for.
    pub fn begin(&self, row: &Row) {
        if row.origin == Origin::Live {
            self.lock().open.insert(name(row), row.reserved);
        }
    }

    /// Counts a call that is settled.
    pub fn count(&self, row: &Row) {
        let mut state = self.lock();
        state.open.remove(&name(row));
        state.sum.add(row);
    }

    /// Stops its calls, and waits until they are settled, at most so long: `held` is the clone of these notes that calls
    /// hold while they are under way, and nobody else does. A call that is not settled by then counts with what is
    /// reserved for it. Gives how many those are.
    pub async fn close(&self, held: &Weak<Self>, patience: Duration) -> u64 {
        if let Some(stop) = &self.0.stop {
            stop.cancel();
        }
        let settled = async {
            while held.strong_count() > 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(patience, settled).await {
            Ok(()) => 0,
            Err(_) => self.lock().count_open(),
        }
    }

    /// Notes a refusal that whoever runs the attempt must know of.
    pub fn refuse(&self, refusal: &Refusal) {
        match refusal {
            Refusal::Budget { message, .. } => {
                self.0.budget.send_if_modified(|it| {
                    let is_first = it.is_none();
                    it.get_or_insert_with(|| message.clone());
                    is_first
                });
            }
            Refusal::CassetteMiss { message } => self.lock().miss(message),
            Refusal::Forbidden(message) => self.lock().forbid(message),
            Refusal::Unauthorized
            | Refusal::NotFound(_)
            | Refusal::Unreadable(_)
            | Refusal::TooLarge { .. }
            | Refusal::Rate { .. }
            | Refusal::Full { .. }
            | Refusal::Guardrail { .. }
            | Refusal::Upstream(_)
            | Refusal::AnswerTooLarge { .. }
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
        self.0.budget.borrow().clone()
    }

    /// Calls that were not recorded: the first few, and how many more.
    #[must_use]
    pub fn misses(&self) -> (Vec<String>, u64) {
        let state = self.lock();
        (state.misses.clone(), state.more_misses)
    }

    /// Why calls were forbidden: the first few reasons, each once.
    #[must_use]
    pub fn forbidden(&self) -> Vec<String> {
        self.lock().forbidden.clone()
    }

    /// Waits until a budget refuses a call.
    pub async fn wait_for_budget(&self) {
        let mut budget = self.0.budget.subscribe();
        // The sender is ours, so it does not end before.
        let _refused = budget.wait_for(Option::is_some).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(row: &Row) -> CallName {
    (row.request.clone(), row.attempt)
}

impl State {
    /// Counts the calls that are open with their reservations.
    fn count_open(&mut self) -> u64 {
        let open = std::mem::take(&mut self.open);
        let mut calls = 0;
        for reserved in open.into_values() {
            calls += 1;
            self.sum.cost = UsdNanos(self.sum.cost.0.saturating_add(reserved.0));
        }
        self.sum.calls = self.sum.calls.saturating_add(calls);
        calls
    }

    fn forbid(&mut self, message: &str) {
        let is_known = self.forbidden.iter().any(|it| it == message);
        if !is_known && self.forbidden.len() < MISSES_SHOWN {
            self.forbidden.push(message.to_owned());
        }
    }

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
    use crate::gateway::budget::scope::Subject;
    use crate::gateway::ledger::What;
    use crate::gateway::ledger::trail::Trail;
    use crate::model::{Timestamp, Usage};
    use crate::provider::Operation;

    fn row(attempt: u32, (reserved, cost): (i64, i64)) -> Row {
        Row {
            request: "r".to_owned(),
            attempt,
            at: Timestamp(0),
            key: "k".to_owned(),
            subject: Subject::default(),
            operation: What::Call(Operation::ChatCompletions),
            provider: "p".to_owned(),
            model: "m".to_owned(),
            answered_by: None,
            origin: Origin::Live,
            status: None,
            usage: Usage::default(),
            cost: UsdNanos(cost),
            avoided: UsdNanos(0),
            reserved: UsdNanos(reserved),
            overrun: UsdNanos(0),
            price: None,
            flags: Vec::new(),
            first_token_ms: None,
            total_ms: 0,
            tags: String::new(),
            similar: None,
            notes: None,
            trail: Trail::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_are_under_way_at_the_end_are_stopped_and_what_is_not_settled_counts_as_reserved()
     {
        let stop = CancellationToken::new();
        let notes = Notes::of(Sum::default(), stop.clone());
        let held = Arc::new(notes.clone());
        for attempt in [1, 2, 3] {
            held.begin(&row(attempt, (100, 0)));
        }
        held.count(&row(1, (100, 7)));
        let weak = Arc::downgrade(&held);
        let calls = async {
            stop.cancelled().await;
            held.count(&row(2, (100, 9)));
            // The third never ends.
            std::future::pending::<u64>().await
        };
        let unsettled = tokio::select! {
            it = notes.close(&weak, Duration::from_secs(2)) => it,
            it = calls => it,
        };
        assert_eq!(unsettled, 1);
        assert_eq!((notes.sum().calls, notes.sum().cost), (3, UsdNanos(7 + 9 + 100)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_calls_that_are_about_to_go_out_and_not_longer_than_for_them() {
        let notes = Notes::of(Sum::default(), CancellationToken::new());
        let held = Arc::new(notes.clone());
        let weak = Arc::downgrade(&held);
        let call = async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            held.begin(&row(1, (100, 0)));
            held.count(&row(1, (100, 5)));
        };
        let begun = tokio::time::Instant::now();
        let (unsettled, ()) = tokio::join!(notes.close(&weak, Duration::from_secs(2)), call);
        assert_eq!(unsettled, 0);
        assert_eq!((notes.sum().calls, notes.sum().cost), (1, UsdNanos(5)));
        assert!(begun.elapsed() < Duration::from_secs(1));
    }

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

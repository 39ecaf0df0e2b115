//! How often a call has gone out so far, and what that has cost, as far as it is known.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::Response;
use tokio::task::JoinHandle;

use crate::gateway::call::answer::Answer;
use crate::gateway::call::{Call, headers};
use crate::gateway::settlement::counting::Counted;
use crate::gateway::settlement::{ESTIMATED, Settled, UNPRICED};
use crate::model::UsdNanos;

/// The attempts of one call, which are made one after the other.
#[derive(Debug, Default)]
pub struct Tries {
    made: AtomicU32,
    cost: AtomicI64,
    /// Whether the tokens of one were counted here.
    is_estimated: AtomicBool,
    /// Whether one used something without a price.
    is_unpriced: AtomicBool,
    /// What is still being counted.
    counting: Mutex<Vec<JoinHandle<Settled>>>,
}

impl Tries {
    /// How many have gone out.
    pub fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed)
    }

    /// The one of this number goes out.
    pub fn goes_out(&self, attempt: u32) {
        self.made.store(attempt, Ordering::Relaxed);
    }

    /// Notes what one has come to.
    pub fn settles(&self, settled: Settled) {
        self.cost.fetch_add(settled.cost.0, Ordering::Relaxed);
        self.is_unpriced.fetch_or(settled.is_unpriced, Ordering::Relaxed);
    }

    /// Notes what one that was lost has cost, or will when it is counted.
    pub fn counts(&self, counted: Counted) {
        self.estimates();
        match counted {
            Counted::Now(settled) => self.settles(settled),
            Counted::Later(counting) => self.counting().push(counting),
        }
    }

    /// Notes that an estimate is among what they have cost.
    pub fn estimates(&self) {
        self.is_estimated.store(true, Ordering::Relaxed);
    }

    /// What they have cost; `None` while one is still being counted, as the rest alone would be too little.
    pub async fn cost(&self) -> Option<UsdNanos> {
        let all = std::mem::take(&mut *self.counting());
        let (done, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(JoinHandle::is_finished);
        let is_known = rest.is_empty();
        self.counting().extend(rest);
        for counted in done {
            self.settles(counted.await.unwrap_or_default());
        }
        is_known.then(|| UsdNanos(self.cost.load(Ordering::Relaxed)))
    }

    /// Whether an estimate is among what they have cost.
    pub fn is_estimated(&self) -> bool {
        self.is_estimated.load(Ordering::Relaxed)
    }

    /// Whether one used something that has no price, as far as it is known.
    pub fn is_unpriced(&self) -> bool {
        self.is_unpriced.load(Ordering::Relaxed)
    }

    fn counting(&self) -> MutexGuard<'_, Vec<JoinHandle<Settled>>> {
        self.counting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// Says how often it has gone out, and what that has cost; the latter not of a stream, which goes on, and not while
    /// it is not known.
    pub(in crate::gateway::call) async fn tell_tries(&self, response: &mut Response<Answer>) {
        let made = self.tries.made();
        if made == 0 {
            return;
        }
        let goes_on = matches!(response.body(), Answer::Live(_));
        let cost = if goes_on { None } else { self.tries.cost().await };
        headers::tell_tries(response.headers_mut(), made, cost);
        if !goes_on && self.tries.is_estimated() {
            headers::add_flag(response.headers_mut(), ESTIMATED);
        }
        if !goes_on && self.tries.is_unpriced() {
            headers::add_flag(response.headers_mut(), UNPRICED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn while_one_is_being_counted_no_sum_without_it_is_told() {
        let cost = |nanos| Settled { cost: UsdNanos(nanos), is_unpriced: false };
        let (tries, end) = (Tries::default(), tokio::sync::Notify::new());
        let end = std::sync::Arc::new(end);
        let waits = end.clone();
        #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
        let counting = tokio::spawn(async move {
            waits.notified().await;
            Settled { cost: UsdNanos(7), is_unpriced: true }
        });
        tries.settles(cost(1));
        assert!(!tries.is_estimated());
        tries.counts(Counted::Now(cost(2)));
        assert_eq!((tries.cost().await, tries.is_estimated()), (Some(UsdNanos(3)), true));
        tries.counts(Counted::Later(counting));
        assert_eq!((tries.cost().await, tries.is_unpriced()), (None, false));
        end.notify_one();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(tries.cost().await, Some(UsdNanos(10)));
        assert_eq!(tries.cost().await, Some(UsdNanos(10)), "each once");
        assert!(tries.is_unpriced());
    }
}

//! Of many equal calls at the same time one goes out. The others wait for it, and when it has failed,
//! each tries itself, one after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

/// Calls under way.
#[derive(Debug)]
pub struct Flights {
    waiters: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<String, (Arc<tokio::sync::Mutex<()>>, usize)>,
    /// Those that are out and those that wait.
    inside: usize,
}

/// The right to go out. The next one has it when this is dropped.
#[derive(Debug)]
pub struct Turn {
    _guard: OwnedMutexGuard<()>,
    _place: Place,
}

/// A place in a row.
#[derive(Debug)]
struct Place {
    flights: Arc<Flights>,
    key: String,
}

impl Flights {
    /// With room for so many that wait.
    #[must_use]
    pub fn new(waiters: usize) -> Self {
        Self { waiters, state: Mutex::default() }
    }

    /// Waits for the turn; `None` when too many wait, or when it took longer than `limit`.
    pub async fn join(self: &Arc<Self>, key: &str, limit: Duration) -> Option<Turn> {
        let (lock, place) = self.enter(key)?;
        let guard = tokio::time::timeout(limit, lock.lock_owned()).await.ok()?;
        Some(Turn { _guard: guard, _place: place })
    }

    fn enter(self: &Arc<Self>, key: &str) -> Option<(Arc<tokio::sync::Mutex<()>>, Place)> {
        let mut state = self.lock();
        let waiting = state.inside.saturating_sub(state.open.len());
        if waiting >= self.waiters && state.open.contains_key(key) {
            return None;
        }
        let (lock, count) = state.open.entry(key.to_owned()).or_default();
        *count += 1;
        let lock = lock.clone();
        state.inside += 1;
        Some((lock, Place { flights: self.clone(), key: key.to_owned() }))
    }

    /// How many are out or wait.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.lock().inside
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.flights.lock();
        state.inside = state.inside.saturating_sub(1);
        if let Some((_, count)) = state.open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                state.open.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn one_goes_and_the_others_follow_in_their_order() {
        let flights = Arc::new(Flights::new(10));
        let first = flights.join("a", LONG).await.unwrap();
        assert!(flights.join("b", LONG).await.is_some(), "another call does not wait");
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..5 {
            let (flights, order) = (flights.clone(), order.clone());
            tasks.spawn(async move {
                let turn = flights.join("a", LONG).await.unwrap();
                order.lock().unwrap().push(number);
                tokio::task::yield_now().await;
                drop(turn);
            });
            tokio::task::yield_now().await;
        }
        assert_eq!((flights.inside(), order.lock().unwrap().len()), (6, 0));
        drop(first);
        while tasks.join_next().await.is_some() {}
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(flights.inside(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_or_in_a_row_that_is_full() {
        let flights = Arc::new(Flights::new(1));
        let first = flights.join("a", LONG).await.unwrap();
        let other = flights.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { other.join("a", LONG).await.is_some() });
        tokio::task::yield_now().await;
        assert!(flights.join("a", LONG).await.is_none(), "one waits already");
        assert!(flights.join("b", LONG).await.is_some(), "this one need not wait");
        assert!(!tasks.join_next().await.unwrap().unwrap(), "its time is over");
        assert_eq!(flights.inside(), 1);
        drop(first);
        assert!(flights.lock().open.is_empty());
    }
}

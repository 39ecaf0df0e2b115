//! How many spans each key may send: on the average of ten seconds not more than so many a second.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::model::{Milliseconds, Timestamp};

/// What may come at once, as time in which it could have come.
const BURST_MS: i64 = 10_000;
/// Keys that are counted at the same time.
const KEYS_AT_MOST: usize = 10_000;

/// By key: until when it would have taken what it has sent at the steady rate.
#[derive(Debug, Default)]
pub struct Rates(Mutex<HashMap<String, i64>>);

impl Rates {
    /// How long a key must wait before it may send; `None` when it need not.
    #[must_use]
    pub fn wait(&self, key: &str, now: Timestamp) -> Option<Milliseconds> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = taken.get(key)?.saturating_sub(now.0).saturating_sub(BURST_MS);
        u64::try_from(over).ok().filter(|it| *it > 0).map(Milliseconds)
    }

    /// A key has sent so many, of which `per_second` may come.
    pub fn take(&self, key: &str, (count, per_second): (usize, u32), now: Timestamp) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let took = count.saturating_mul(1000) / i64::from(per_second.max(1));
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= KEYS_AT_MOST && !taken.contains_key(key) {
            taken.retain(|_, until| *until > now.0);
            if taken.len() >= KEYS_AT_MOST {
                taken.clear();
            }
        }
        let until = taken.entry(key.to_owned()).or_insert(now.0);
        *until = (*until).max(now.0).saturating_add(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_sends_a_burst_and_then_so_many_a_second() {
        let rates = Rates::default();
        let mut sent = 0;
        // A hundred at a time, ten times a second, of which a hundred a second are allowed, for a minute.
        for tenth in 0..600 {
            let now = Timestamp(tenth * 100);
            if rates.wait("k", now).is_none() {
                rates.take("k", (100, 100), now);
                sent += 100;
            }
        }
        assert!((6_900..=7_100).contains(&sent), "{sent}");
        rates.take("k", (1_000, 100), Timestamp(60_000));
        let wait = rates.wait("k", Timestamp(60_000)).unwrap();
        assert!((9_000..=11_000).contains(&wait.0), "{wait:?}");
        assert_eq!(rates.wait("other", Timestamp(60_000)), None);
        assert_eq!(rates.wait("k", Timestamp(60_000).plus(wait)), None);
    }

    #[test]
    fn not_more_keys_are_counted_than_there_is_room_for() {
        let rates = Rates::default();
        for key in 0..=KEYS_AT_MOST {
            rates.take(&key.to_string(), (10_000, 1), Timestamp(0));
        }
        assert!(rates.0.lock().unwrap().len() <= KEYS_AT_MOST);
    }
}

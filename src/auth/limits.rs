//! How often an address may knock before it is known who calls. In memory, and bounded: each process
//! counts for itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::auth::{Auth, AuthError};
use crate::model::Timestamp;

/// Requests an address may make at once.
const BURST: i64 = 30;
/// How long one request takes to be forgotten.
const REFILL_MILLIS: i64 = 1000;
/// Addresses that are remembered; beyond them all new ones share one count.
const ADDRESSES_MAX: usize = 10_000;
/// What those share.
const OTHERS: &str = "";

/// The addresses that knocked lately: the moment when each will be forgotten.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// "Virtual scheduling" form of the leaky bucket (ITU-T I.371): one moment for each address.
    full_until: Mutex<HashMap<String, i64>>,
}

impl Limits {
    /// Seconds to wait, or `None` if the address may go on.
    fn knock(&self, address: &str, now: Timestamp) -> Option<u64> {
        let mut moments = self.full_until.lock().unwrap_or_else(PoisonError::into_inner);
        if moments.len() >= ADDRESSES_MAX && !moments.contains_key(address) {
            moments.retain(|_, moment| *moment > now.0);
        }
        let is_room = moments.len() < ADDRESSES_MAX || moments.contains_key(address);
        let address = if is_room { address } else { OTHERS };
        let next = moments.get(address).copied().unwrap_or(now.0).max(now.0) + REFILL_MILLIS;
        let over = next - now.0 - BURST * REFILL_MILLIS;
        if over > 0 {
            return u64::try_from(over).ok().map(|it| it.div_ceil(1000));
        }
        moments.insert(address.to_owned(), next);
        None
    }
}

impl Auth {
    /// Refuses an address that knocks too often.
    pub fn admit(&self, address: &str) -> Result<(), AuthError> {
        match self.limits.knock(address, self.clock.now()) {
            None => Ok(()),
            Some(retry_after_seconds) => Err(AuthError::Locked { retry_after_seconds }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_knock_in_a_burst_and_then_once_a_second() {
        let limits = Limits::default();
        let knock = |millis| limits.knock("192.0.2.1", Timestamp(millis));
        assert!((0..30).all(|_| knock(0).is_none()));
        assert_eq!(knock(0), Some(1));
        assert_eq!(limits.knock("192.0.2.2", Timestamp(0)), None, "others are not concerned");
        assert_eq!(knock(1000), None);
        assert_eq!(knock(1000), Some(1));
    }

    #[test]
    fn memory_is_bounded_whoever_knocks() {
        let limits = Limits::default();
        for number in 0..ADDRESSES_MAX * 2 {
            limits.knock(&number.to_string(), Timestamp(0));
        }
        assert!(limits.full_until.lock().unwrap().len() <= ADDRESSES_MAX + 1);
        assert_eq!(limits.knock("later", Timestamp(1_000_000)), None);
        assert_eq!(limits.full_until.lock().unwrap().len(), 1);
    }
}

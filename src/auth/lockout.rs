//! Wrong tries: a few are free, then each makes the next one wait twice as long.

use crate::auth::{Auth, AuthError};
use crate::model::Timestamp;
use crate::store::access::sign_in::Failures;

/// Wrong tries of a login before it has to wait.
const FREE_BY_LOGIN: i64 = 5;
/// Wrong tries of an address: many people may share one.
const FREE_BY_ADDRESS: i64 = 30;
/// The longest wait, in seconds: nobody can keep somebody else out for longer than they keep trying.
const WAIT_SECONDS_MAX: u64 = 900;
/// When wrong tries are forgotten.
const FORGET_MILLIS: i64 = 24 * 3_600_000;
/// How often a count that somebody else has changed is read again.
const COUNT_AGAIN: usize = 5;

/// Whose tries are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject<'a> {
    Login(&'a str),
    Address(&'a str),
    /// Who changes their own password.
    Own(&'a str),
}

impl Subject<'_> {
    fn key(&self) -> String {
        match self {
            Self::Login(login) => format!("login:{login}"),
            Self::Address(address) => format!("address:{address}"),
            Self::Own(login) => format!("own:{login}"),
        }
    }

    fn free(&self) -> i64 {
        match self {
            Self::Login(_) | Self::Own(_) => FREE_BY_LOGIN,
            Self::Address(_) => FREE_BY_ADDRESS,
        }
    }
}

impl Auth {
    /// Counts a try as wrong before it is looked at, so that many at the same moment do not slip through;
    /// [`Auth::forgive`] takes it back.
    pub(super) async fn claim_try(&self, subject: &Subject<'_>) -> Result<(), AuthError> {
        let key = subject.key();
        for _ in 0..COUNT_AGAIN {
            let now = self.clock.now();
            let seen = self.store.find_failures(&key).await?;
            let failures = remembered(seen, now);
            if let Some(retry_after_seconds) = wait_seconds(failures, subject.free(), now) {
                return Err(AuthError::Locked { retry_after_seconds });
            }
            let next = Failures { failures: failures.failures.saturating_add(1), last_at: now };
            if self.store.save_failure(&key, seen, next).await? {
                return Ok(());
            }
        }
        Err(AuthError::Locked { retry_after_seconds: 1 })
    }

    /// Whether the next try has to wait.
    pub(super) async fn is_locked(&self, subject: &Subject<'_>) -> Result<bool, AuthError> {
        let now = self.clock.now();
        let failures = remembered(self.store.find_failures(&subject.key()).await?, now);
        Ok(wait_seconds(failures, subject.free(), now).is_some())
    }

    /// A try was right. Those of the login are forgotten; of the address only this one, so that nobody
    /// can guess on by signing in as themselves in between.
    pub(super) async fn forgive(&self, subject: &Subject<'_>) -> Result<(), AuthError> {
        match subject {
            Subject::Login(_) | Subject::Own(_) => {
                self.store.delete_failures(&subject.key()).await?;
            }
            Subject::Address(_) => self.store.forgive_failure(&subject.key()).await?,
        }
        Ok(())
    }
}

fn remembered(seen: Option<Failures>, now: Timestamp) -> Failures {
    let is_recent = |it: &Failures| now.0.saturating_sub(it.last_at.0) < FORGET_MILLIS;
    seen.filter(is_recent).unwrap_or_default()
}

/// How long the next try has to wait.
fn wait_seconds(seen: Failures, free: i64, now: Timestamp) -> Option<u64> {
    let over = seen.failures.saturating_sub(free);
    if over < 0 {
        return None;
    }
    let over = u32::try_from(over).unwrap_or(u32::MAX);
    let delay = 2u64.saturating_pow(over).min(WAIT_SECONDS_MAX);
    let passed = now.since(seen.last_at).0;
    let left = (delay * 1000).checked_sub(passed).filter(|it| *it > 0)?;
    Some(left.div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(failures: i64, seconds_ago: i64) -> Option<u64> {
        let now = Timestamp(10_000_000);
        let seen = Failures { failures, last_at: Timestamp(now.0 - seconds_ago * 1000) };
        wait_seconds(seen, FREE_BY_LOGIN, now)
    }

    #[test]
    fn the_wait_grows_with_each_wrong_try_and_has_an_end() {
        let waits: Vec<_> = (0..20).map(|failures| wait(failures, 0).unwrap_or(0)).collect();
        assert_eq!(
            waits,
            [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900]
        );
        assert_eq!(wait(i64::MAX, 0), Some(900));
    }

    #[test]
    fn whoever_has_waited_may_try_again() {
        assert_eq!(wait(8, 7), Some(1));
        assert_eq!(wait(8, 8), None);
    }

    #[test]
    fn wrong_tries_are_forgotten_after_a_day() {
        let seen = Some(Failures { failures: 9, last_at: Timestamp(0) });
        assert_eq!(remembered(seen, Timestamp(FORGET_MILLIS - 1)).failures, 9);
        assert_eq!(remembered(seen, Timestamp(FORGET_MILLIS)).failures, 0);
    }
}

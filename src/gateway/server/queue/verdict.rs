//! What becomes of an item after a try: it is done, it has failed, or it is tried again, and when. Pure.

use super::settings::QueueSettings;
use crate::model::Milliseconds;
use crate::provider::refusal::Refusal;

/// The longest pause between two tries.
const PAUSE_MAX: Milliseconds = Milliseconds::from_seconds(600);
/// The longest time that a provider may ask for.
const TOLD_MAX: Milliseconds = Milliseconds::from_seconds(3600);
/// The word for an answer beyond `answer_bytes`. It would be as large the next time, and cost the same again.
pub(super) const TOO_LARGE: &str = "too_large";

/// What a try came to.
#[derive(Debug, Clone)]
pub(super) struct Seen<'a> {
    /// The status of the answer.
    pub(super) status: u16,
    /// Why the gateway itself has refused it.
    pub(super) refusal: Option<&'a Refusal>,
    /// When to come again, if somebody said it.
    pub(super) retry_after: Option<Milliseconds>,
    /// Whether a stream came to its end.
    pub(super) is_whole: bool,
}

/// What an item went through before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Before {
    /// Tries that failed.
    pub(super) failures: u32,
    /// Times in a row that it was told to come later.
    pub(super) waits: u32,
    /// Whether it waits for a budget that refuses it.
    pub(super) waits_for_budget: bool,
}

/// What becomes of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has its answer.
    Done,
    /// It ends without one, or with one that is an error.
    Failed {
        /// A word.
        reason: &'static str,
    },
    /// It was told to come later, which is nobody's failure.
    Wait {
        /// A word.
        reason: &'static str,
        /// After how long.
        after: Milliseconds,
    },
    /// It has failed and is tried again.
    Again {
        /// A word.
        reason: &'static str,
        /// After how long.
        after: Milliseconds,
    },
}

/// Judges a try.
pub(super) fn judge(seen: &Seen<'_>, before: Before, settings: &QueueSettings) -> Verdict {
    let wait = |reason| Verdict::Wait { reason, after: wait_of(seen, before, settings) };
    match seen.refusal {
        None => {}
        Some(Refusal::Budget { .. }) if before.waits_for_budget => {
            return Verdict::Wait { reason: "budget", after: settings.budget_ms };
        }
        Some(Refusal::Budget { .. }) => return Verdict::Failed { reason: "budget" },
        Some(
            Refusal::Rate { .. }
            | Refusal::Full { .. }
            | Refusal::Unavailable { .. }
            | Refusal::Away { .. }
            | Refusal::Unreported { .. },
        ) => return wait("unavailable"),
        Some(Refusal::Upstream(_)) => return again("upstream", before, settings),
        Some(Refusal::AnswerTooLarge { .. }) => return Verdict::Failed { reason: TOO_LARGE },
        Some(Refusal::Timeout(_)) => return again("timeout", before, settings),
        Some(Refusal::Guardrail { .. }) => return Verdict::Failed { reason: "guardrail" },
        Some(
            Refusal::Unauthorized
            | Refusal::Forbidden(_)
            | Refusal::NotFound(_)
            | Refusal::Unreadable(_)
            | Refusal::TooLarge { .. }
            | Refusal::CassetteMiss { .. },
        ) => return Verdict::Failed { reason: "refused" },
    }
    match seen.status {
        200..=299 if seen.is_whole => Verdict::Done,
        200..=299 => again("cut", before, settings),
        429 => wait("rate"),
        408 | 409 | 500.. => again("upstream", before, settings),
        _ => Verdict::Failed { reason: "refused" },
    }
}

/// A try that failed: another follows, unless there were too many.
pub(super) fn again(reason: &'static str, before: Before, settings: &QueueSettings) -> Verdict {
    let failures = before.failures.saturating_add(1);
    if failures >= settings.tries {
        return Verdict::Failed { reason };
    }
    Verdict::Again { reason, after: pause(settings.retry_ms, failures) }
}

/// What is said of such an answer.
pub(super) fn too_large(settings: &QueueSettings) -> String {
    let limit_bytes = settings.answer_bytes;
    format!(
        "the answer is larger than {limit_bytes} bytes; `answer_bytes` of `[queue]` allows no more"
    )
}

fn wait_of(seen: &Seen<'_>, before: Before, settings: &QueueSettings) -> Milliseconds {
    let own = pause(settings.retry_ms, before.waits.saturating_add(1));
    seen.retry_after.map_or(own, |told| Milliseconds(told.0.clamp(1, TOLD_MAX.0)))
}

/// The pause after so many in a row.
pub(super) fn pause(first: Milliseconds, number: u32) -> Milliseconds {
    let factor = 4_u64.saturating_pow(number.saturating_sub(1).min(20));
    Milliseconds(first.0.saturating_mul(factor).min(PAUSE_MAX.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Before = Before { failures: 0, waits: 0, waits_for_budget: true };

    fn seen(status: u16, refusal: Option<&Refusal>) -> Seen<'_> {
        Seen { status, refusal, retry_after: None, is_whole: true }
    }

    fn check(seen: &Seen<'_>, before: Before) -> String {
        match judge(seen, before, &QueueSettings::default()) {
            Verdict::Done => "done".to_owned(),
            Verdict::Failed { reason } => format!("failed {reason}"),
            Verdict::Wait { reason, after } => format!("wait {reason} {}", after.0),
            Verdict::Again { reason, after } => format!("again {reason} {}", after.0),
        }
    }

    #[test]
    fn an_answer_ends_an_item_and_what_may_pass_does_not() {
        assert_eq!(check(&seen(200, None), NEW), "done");
        assert_eq!(check(&seen(400, None), NEW), "failed refused");
        assert_eq!(check(&seen(503, None), NEW), "again upstream 5000");
        assert_eq!(check(&Seen { is_whole: false, ..seen(200, None) }, NEW), "again cut 5000");
        let told = Seen { retry_after: Some(Milliseconds(7000)), ..seen(429, None) };
        assert_eq!(check(&told, NEW), "wait rate 7000");
        assert_eq!(check(&seen(429, None), Before { waits: 2, ..NEW }), "wait rate 80000");
    }

    #[test]
    fn a_budget_that_refuses_is_waited_for_where_the_submitter_wants_it() {
        let refusal = Refusal::Budget { budget: "b".to_owned(), message: String::new() };
        assert_eq!(check(&seen(402, Some(&refusal)), NEW), "wait budget 60000");
        let fails = Before { waits_for_budget: false, ..NEW };
        assert_eq!(check(&seen(402, Some(&refusal)), fails), "failed budget");
    }

    #[test]
    fn an_answer_that_is_too_large_is_not_asked_for_again() {
        let large = Refusal::AnswerTooLarge { limit_bytes: 100 };
        assert_eq!(check(&seen(502, Some(&large)), NEW), "failed too_large");
    }

    #[test]
    fn the_last_try_that_fails_is_the_end() {
        let broken = Refusal::Upstream("broken".to_owned());
        let after = |failures| check(&seen(502, Some(&broken)), Before { failures, ..NEW });
        assert_eq!(after(1), "again upstream 20000");
        assert_eq!(after(2), "again upstream 80000");
        assert_eq!(after(3), "failed upstream");
        assert_eq!(pause(Milliseconds(5000), 9), PAUSE_MAX);
    }
}

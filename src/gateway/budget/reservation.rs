//! What a call asks of budgets, and what they answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::account::{Alert, Amount, Limit};
use super::scope::Subject;
use crate::gateway::prices::rate::{Date, DayTime};
use crate::model::{Timestamp, UsdNanos};

/// Names one call to a provider: each retry, fallback and shadow has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallId {
    /// The client's request.
    pub request: u128,
    /// Counts from 1.
    pub attempt: u32,
}

/// What a call asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The call.
    pub id: CallId,
    /// Whose it is.
    pub subject: Subject,
    /// The most it may cost.
    pub estimate: Amount,
    /// When it counts as lost.
    pub deadline: Timestamp,
    /// For how many requests it counts: one, and none where an app only reports what it has spent elsewhere, or where
    /// the call is free.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub requests: u64,
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it in like this")]
fn is_one(requests: &u64) -> bool {
    *requests == 1
}

/// What is written down, so that a restart forgets nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A call was let through.
    Reserved {
        /// What it asked for.
        reservation: Reservation,
        /// When.
        at: Timestamp,
    },
    /// It was closed.
    Closed {
        /// The call.
        id: CallId,
        /// All that it cost.
        cost: Amount,
        /// How.
        close: Close,
    },
}

/// A reservation was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reserved {
    /// The least that any budget has left for calls like this one; budgets that all teams spend of are left out for a
    /// call of one team.
    pub remaining: Option<UsdNanos>,
    /// Budgets of which 80 % and more are spent, whatever is reserved.
    pub nearly_used: Vec<String>,
}

/// A reservation was not made: nothing was held anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The budget.
    pub budget: String,
    /// The one of its accounts, such as `team=core`.
    pub account: String,
    /// What is used and reserved.
    pub used: Amount,
    /// What the call would need.
    pub needed: Amount,
    /// The ceiling.
    pub limit: Limit,
    /// When it begins anew.
    pub frees_at: Option<Timestamp>,
    /// Whether others spend of it who are none of the caller's business: its amounts are not said then.
    pub is_of_others: bool,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, account, used, needed, limit, frees_at, is_of_others } = self;
        let place = if account.is_empty() { String::new() } else { format!(" ({account})") };
        if *is_of_others {
            write!(
                f,
                "the budget `{budget}`{place} of the installation is used up for this call, which may need {needed}; \
                 its owners see how it stands"
            )?;
        } else {
            write!(
                f,
                "the budget `{budget}`{place} has {limit}; {used} are used or reserved, and this call may need {needed}"
            )?;
        }
        match *frees_at {
            Some(at) => write!(f, "; it begins anew at {}", clock_time(at)),
            None => Ok(()),
        }
    }
}

/// `2026-02-01 00:00 UTC`.
fn clock_time(at: Timestamp) -> String {
    format!("{} {} UTC", Date::of(at), DayTime::of(at))
}

/// How a call was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Close {
    /// With what it cost.
    Settled,
    /// It was never sent.
    Cancelled,
    /// Nobody told what it cost: with its estimate.
    Expired,
    /// With what it cost, after it had expired.
    Corrected,
}

/// What a settlement did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// What the ledger is to add: the cost, or its difference from what was charged before.
    pub charged: Amount,
    /// What the call cost beyond its reservation.
    pub overrun: Amount,
    /// Thresholds that were crossed.
    pub alerts: Vec<Alert>,
    /// How the call is closed now; `None` when it was before, or was never known.
    pub close: Option<Close>,
}

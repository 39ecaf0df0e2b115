//! Budgets, enforced before the money is spent: a call reserves the most it may cost with every budget
//! that it falls under, or with none; then it settles what it did cost. Pure: time is an argument.
//!
//! What holds, whatever calls, crashes and restarts do: in each account of a hard budget,
//! `spent + held <= limit + overrun`, where `overrun` is what calls cost beyond their own reservations.

pub mod scope;
pub mod account;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::prices::rate::{Date, DayTime};
use crate::model::{Timestamp, UsdNanos};
use account::{Account, Alert, Amount, Limit};
use scope::{Scope, Subject, Window};

/// Closed calls that are remembered, so that a late or second word on them changes nothing wrongly.
const CLOSED_CALLS: usize = 65_536;

/// A ceiling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Names it, in refusals too.
    pub id: String,
    /// The calls that it is for: all, without any.
    #[serde(default)]
    pub scope: Scope,
    /// The span after which it begins anew.
    pub window: Window,
    /// How much.
    #[serde(flatten)]
    pub limit: Limit,
    /// Whether calls that do not fit are refused, or only told of.
    #[serde(default)]
    pub mode: Mode,
}

/// What a budget does when it is used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Refuses.
    #[default]
    Hard,
    /// Alerts.
    Soft,
}

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
    /// The least that any budget has left for calls like this one.
    pub remaining: Option<UsdNanos>,
    /// Budgets of which 80 % and more are used or reserved.
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
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, account, used, needed, limit, frees_at } = self;
        let place = if account.is_empty() { String::new() } else { format!(" ({account})") };
        write!(
            f,
            "the budget `{budget}`{place} has {limit}; {used} are used or reserved, and this call may need {needed}"
        )?;
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

#[derive(Debug)]
struct Open {
    accounts: Vec<AccountKey>,
    estimate: Amount,
    deadline: Timestamp,
}

#[derive(Debug)]
struct Closed {
    accounts: Vec<AccountKey>,
    estimate: Amount,
    close: Close,
}

/// An account: of a budget, for one value of each of its parts that is counted apart, in one window.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AccountKey {
    budget: usize,
    values: Arc<str>,
    window: i64,
}

/// All budgets and what is used of them.
#[derive(Debug, Default)]
pub struct Budgets {
    /// By numbers that are never given again, as accounts are known by them.
    all: BTreeMap<usize, Budget>,
    next: usize,
    accounts: HashMap<AccountKey, Account>,
    open: HashMap<CallId, Open>,
    closed: HashMap<CallId, Closed>,
    closed_order: VecDeque<CallId>,
}

impl Budgets {
    /// These budgets, of which nothing is used.
    #[must_use]
    pub fn new(budgets: Vec<Budget>) -> Self {
        let mut all = Self::default();
        budgets.into_iter().for_each(|it| all.set(it));
        all
    }

    /// Adds a budget, unless one of its name is there.
    pub fn set(&mut self, budget: Budget) {
        if self.all.values().all(|it| it.id != budget.id) {
            self.all.insert(self.next, budget);
            self.next += 1;
        }
    }

    /// Forgets a budget and its accounts; calls under way settle with the others.
    pub fn unset(&mut self, id: &str) {
        self.all.retain(|_, it| it.id != id);
        self.accounts.retain(|key, _| self.all.contains_key(&key.budget));
    }

    /// Reserves with all budgets or with none. A call that is reserved already stays so.
    pub fn reserve(
        &mut self,
        call: &Reservation,
        now: Timestamp,
    ) -> Result<Reserved, Box<Refused>> {
        if self.open.contains_key(&call.id) || self.closed.contains_key(&call.id) {
            return Ok(Reserved::default());
        }
        let keys = self.keys(&call.subject, now);
        let mut reserved = Reserved::default();
        for key in &keys {
            self.check(key, call.estimate, &mut reserved)?;
        }
        self.hold(call, keys);
        Ok(reserved)
    }

    /// Takes what was written down before a restart, in its order, whether it fits or not.
    pub fn replay(&mut self, entry: &Entry) {
        match entry {
            Entry::Reserved { reservation, at } => {
                let keys = self.keys(&reservation.subject, *at);
                self.hold(reservation, keys);
            }
            Entry::Closed { id, cost, close } => match (close, self.open.remove(id)) {
                (_, Some(open)) => drop(self.close(*id, open, *cost, *close)),
                (Close::Corrected, None) => drop(self.settle(*id, *cost)),
                (Close::Settled | Close::Cancelled | Close::Expired, None) => {}
            },
        }
    }

    /// Charges what a call cost. A second settlement changes nothing; one after the call expired
    /// corrects what was charged.
    pub fn settle(&mut self, id: CallId, cost: Amount) -> Settled {
        if let Some(open) = self.open.remove(&id) {
            return self.close(id, open, cost, Close::Settled);
        }
        let late = self.closed.get_mut(&id).filter(|it| it.close == Close::Expired);
        let Some(closed) = late else { return Settled::default() };
        closed.close = Close::Corrected;
        let (keys, estimate) = (closed.accounts.clone(), closed.estimate);
        self.correct(&keys, estimate, cost)
    }

    /// Lets a call go that was never sent.
    pub fn cancel(&mut self, id: CallId) -> Settled {
        match self.open.remove(&id) {
            Some(open) => self.close(id, open, Amount::default(), Close::Cancelled),
            None => Settled::default(),
        }
    }

    /// Charges the calls that nobody settled in time with their estimates.
    pub fn expire(&mut self, now: Timestamp) -> Vec<(CallId, Settled)> {
        let late = self.open.iter().filter(|it| it.1.deadline <= now).map(|it| *it.0);
        let mut late: Vec<_> = late.collect();
        late.sort_unstable();
        let mut settled = Vec::with_capacity(late.len());
        for id in late {
            if let Some(open) = self.open.remove(&id) {
                let cost = open.estimate;
                settled.push((id, self.close(id, open, cost, Close::Expired)));
            }
        }
        settled
    }

    /// The least that hard budgets have left for a call of this subject: money and tokens.
    #[must_use]
    pub fn headroom(&self, subject: &Subject, now: Timestamp) -> (Option<UsdNanos>, Option<u64>) {
        let (mut money, mut tokens) = (None, None);
        for key in self.keys(subject, now) {
            let Some(budget) = self.budget(&key).filter(|it| it.mode == Mode::Hard) else {
                continue;
            };
            let account = self.accounts.get(&key).copied().unwrap_or_default();
            money = least(money, account.money_left(&budget.limit));
            tokens = least(tokens, account.tokens_left(&budget.limit));
        }
        (money, tokens)
    }

    /// Every account with its budget and its name, for people: sorted.
    #[must_use]
    pub fn standing(&self) -> Vec<(&Budget, &str, Account)> {
        let mut all: Vec<_> = self.accounts.iter().collect();
        all.sort_by_key(|it| (it.0.budget, it.0.window, it.0.values.clone()));
        let rows = all.into_iter();
        rows.filter_map(|(key, it)| Some((self.budget(key)?, &*key.values, *it))).collect()
    }

    /// How many calls are reserved and not closed.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.open.len()
    }

    /// Forgets accounts of windows that ended before `now` and that no open call is in.
    pub fn forget(&mut self, now: Timestamp) {
        let budgets = &self.all;
        self.accounts.retain(|key, account| {
            let window = budgets.get(&key.budget).map(|it| it.window);
            let end = window.and_then(|it| it.end(Timestamp(key.window)));
            account.held != Amount::default() || end.is_none_or(|it| it > now)
        });
    }

    fn keys(&self, subject: &Subject, now: Timestamp) -> Vec<AccountKey> {
        let keys = self.all.iter().filter_map(|(number, budget)| {
            let values = budget.scope.account_of(subject)?;
            let window = budget.window.start(now).0;
            Some(AccountKey { budget: *number, values: values.into(), window })
        });
        keys.collect()
    }

    fn budget(&self, key: &AccountKey) -> Option<&Budget> {
        self.all.get(&key.budget)
    }

    fn check(
        &self,
        key: &AccountKey,
        estimate: Amount,
        reserved: &mut Reserved,
    ) -> Result<(), Box<Refused>> {
        let Some(budget) = self.budget(key) else { return Ok(()) };
        let account = self.accounts.get(key).copied().unwrap_or_default();
        if budget.mode == Mode::Hard && !account.fits(estimate, &budget.limit) {
            return Err(Box::new(Refused {
                budget: budget.id.clone(),
                account: key.values.to_string(),
                used: account.used(),
                needed: estimate,
                limit: budget.limit,
                frees_at: budget.window.end(Timestamp(key.window)),
            }));
        }
        let left = account.money_left(&budget.limit);
        let left = left.map(|it| UsdNanos(it.0.saturating_sub(estimate.money.0)));
        reserved.remaining = least(reserved.remaining, left);
        if account.is_nearly_used(estimate, &budget.limit) {
            reserved.nearly_used.push(budget.id.clone());
        }
        Ok(())
    }

    fn hold(&mut self, call: &Reservation, accounts: Vec<AccountKey>) {
        for key in &accounts {
            let account = self.accounts.entry(key.clone()).or_default();
            account.held = account.held.plus(call.estimate);
        }
        let (estimate, deadline) = (call.estimate, call.deadline);
        self.open.insert(call.id, Open { accounts, estimate, deadline });
    }

    fn close(&mut self, id: CallId, open: Open, cost: Amount, close: Close) -> Settled {
        let Open { accounts, estimate, .. } = open;
        let overrun = cost.beyond(estimate);
        let mut alerts = Vec::new();
        for key in &accounts {
            let Some(account) = self.accounts.get_mut(key) else { continue };
            account.held = account.held.minus(estimate);
            account.overrun = account.overrun.plus(overrun);
            if close != Close::Cancelled {
                account.requests = account.requests.saturating_add(1);
            }
            account.spent = account.spent.plus(cost);
            alerts.extend(alert(&self.all, key, account));
        }
        self.remember(id, Closed { accounts, estimate, close });
        Settled { charged: cost, overrun, alerts, close: Some(close) }
    }

    fn correct(&mut self, keys: &[AccountKey], charged: Amount, cost: Amount) -> Settled {
        let overrun = cost.beyond(charged);
        let mut alerts = Vec::new();
        for key in keys.iter().filter(|it| self.all.contains_key(&it.budget)) {
            let account = self.accounts.entry(key.clone()).or_default();
            account.spent = account.spent.minus(charged).plus(cost);
            account.overrun = account.overrun.plus(overrun);
            alerts.extend(alert(&self.all, key, account));
        }
        let charged = cost.minus(charged);
        Settled { charged, overrun, alerts, close: Some(Close::Corrected) }
    }

    fn remember(&mut self, id: CallId, closed: Closed) {
        self.closed.insert(id, closed);
        self.closed_order.push_back(id);
        if self.closed_order.len() > CLOSED_CALLS
            && let Some(oldest) = self.closed_order.pop_front()
        {
            self.closed.remove(&oldest);
        }
    }
}

fn alert(
    budgets: &BTreeMap<usize, Budget>,
    key: &AccountKey,
    account: &mut Account,
) -> Option<Alert> {
    let budget = budgets.get(&key.budget)?;
    let percent = account.newly_crossed(&budget.limit)?;
    Some(Alert {
        budget: budget.id.clone(),
        account: key.values.to_string(),
        percent,
        used: account.spent,
        limit: budget.limit,
    })
}

fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;

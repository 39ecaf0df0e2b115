//! Budgets, enforced before the money is spent: a call reserves the most it may cost with every budget
//! that it falls under, or with none; then it settles what it did cost. Pure: time is an argument.
//!
//! What holds, whatever calls, crashes and restarts do: in each account of a hard budget,
//! `spent + held <= limit + overrun`, where `overrun` is what calls cost beyond their own reservations.

pub mod scope;
pub mod account;
pub mod reservation;
pub mod set;
pub mod grants;

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::{Timestamp, UsdNanos};
use account::{Account, Alert, Amount, Limit};
use grants::Grants;
pub use reservation::{CallId, Close, Entry, Refused, Reservation, Reserved, Settled};
use scope::{Scope, Subject, Window};
use set::{AccountKey, BudgetSet};

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

#[derive(Debug)]
struct Open {
    accounts: Vec<AccountKey>,
    subject: Subject,
    estimate: Amount,
    deadline: Timestamp,
    requests: u64,
}

/// So many are remembered that each must be small.
#[derive(Debug)]
struct Closed {
    close: Close,
    /// What a call that nobody settled in time was charged to, until it is known what it has cost.
    charged: Option<Box<Charged>>,
}

#[derive(Debug)]
struct Charged {
    accounts: Vec<AccountKey>,
    estimate: Amount,
}

/// All budgets and what is used of them.
#[derive(Debug, Default)]
pub struct Budgets {
    all: BudgetSet,
    /// What this process may spend, when others spend of the same budgets.
    grants: Option<Grants>,
    accounts: HashMap<AccountKey, Account>,
    open: HashMap<CallId, Open>,
    closed: HashMap<CallId, Closed>,
    closed_order: VecDeque<CallId>,
}

impl Budgets {
    /// These budgets, of which nothing is used.
    #[must_use]
    pub fn new(budgets: Vec<Budget>) -> Self {
        Self { all: budgets.into_iter().collect(), ..Self::default() }
    }

    /// The same, of which other processes spend too: this one spends what it was granted.
    #[must_use]
    pub fn shared(budgets: Vec<Budget>) -> Self {
        Self { grants: Some(Grants::default()), ..Self::new(budgets) }
    }

    /// Adds a budget, or changes the one of its name.
    pub fn set(&mut self, budget: Budget) {
        if self.all.get(&budget.id).is_some_and(|it| *it == budget) {
            return;
        }
        let id = budget.id.clone();
        self.all.insert(budget);
        self.recall(&id);
    }

    /// Removes a budget: calls are no longer held to it.
    pub fn unset(&mut self, id: &str) {
        self.all.remove(id);
        self.recall(id);
        if self.grants.is_some() {
            // One of its name begins at what the store says.
            let is_held = |it: &Account| it.held != Amount::default();
            self.accounts.retain(|key, it| &*key.budget != id || is_held(it));
        }
    }

    /// Reserves with all budgets or with none. A call that is reserved already stays so. Where grants are
    /// spent, nothing may be [short](Self::needs).
    pub fn reserve(
        &mut self,
        call: &Reservation,
        now: Timestamp,
    ) -> Result<Reserved, Box<Refused>> {
        if self.knows(call.id) {
            return Ok(Reserved::default());
        }
        let keys = self.all.keys(&call.subject, now);
        let mut reserved = Reserved::default();
        for key in &keys {
            self.check(key, call, &mut reserved)?;
        }
        self.hold(call, keys);
        Ok(reserved)
    }

    /// Whether a call was reserved, or closed not long ago.
    #[must_use]
    pub fn knows(&self, id: CallId) -> bool {
        self.open.contains_key(&id) || self.closed.contains_key(&id)
    }

    /// Whether a call is reserved.
    pub(super) fn is_open(&self, id: CallId) -> bool {
        self.open.contains_key(&id)
    }

    /// How a call was closed, not long ago.
    pub(super) fn closed_as(&self, id: CallId) -> Option<Close> {
        self.closed.get(&id).map(|it| it.close)
    }

    /// Takes what was written down before a restart, in its order, whether it fits or not.
    pub fn replay(&mut self, entry: &Entry) {
        match entry {
            Entry::Reserved { reservation, at } => {
                let keys = self.all.keys(&reservation.subject, *at);
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
        let Some(closed) = self.closed.get_mut(&id) else { return Settled::default() };
        let Some(charged) = closed.charged.take() else { return Settled::default() };
        closed.close = Close::Corrected;
        self.correct(&charged.accounts, charged.estimate, cost)
    }

    /// Lets a call go that was never sent.
    pub fn cancel(&mut self, id: CallId) -> Settled {
        match self.open.remove(&id) {
            Some(open) => self.close(id, open, Amount::default(), Close::Cancelled),
            None => Settled::default(),
        }
    }

    /// Charges the calls that nobody settled in time with their estimates.
    pub fn expire(&mut self, now: Timestamp) -> Vec<(CallId, Subject, Settled)> {
        let late = self.open.iter().filter(|it| it.1.deadline <= now).map(|it| *it.0);
        let mut late: Vec<_> = late.collect();
        late.sort_unstable();
        let mut settled = Vec::with_capacity(late.len());
        for id in late {
            if let Some(open) = self.open.remove(&id) {
                let (cost, subject) = (open.estimate, open.subject.clone());
                settled.push((id, subject, self.close(id, open, cost, Close::Expired)));
            }
        }
        settled
    }

    /// The least that hard budgets have left for a call of this subject: money and tokens.
    #[must_use]
    pub fn headroom(&self, subject: &Subject, now: Timestamp) -> (Option<UsdNanos>, Option<u64>) {
        let (mut money, mut tokens) = (None, None);
        for key in self.all.keys(subject, now) {
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
        all.sort_by(|a, b| a.0.cmp(b.0));
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
        let (all, grants) = (&self.all, self.grants.as_ref());
        self.accounts.retain(|key, account| {
            let is_kept = grants.map_or_else(|| !all.is_over(key, now), |it| it.has(key));
            account.held != Amount::default() || is_kept
        });
    }

    fn budget(&self, key: &AccountKey) -> Option<&Budget> {
        self.all.get(&key.budget)
    }

    fn check(
        &self,
        key: &AccountKey,
        call: &Reservation,
        reserved: &mut Reserved,
    ) -> Result<(), Box<Refused>> {
        let estimate = call.estimate;
        let Some(budget) = self.budget(key) else { return Ok(()) };
        let account = self.accounts.get(key).copied().unwrap_or_default();
        let is_limit = self.grants.is_none() && budget.mode == Mode::Hard;
        if is_limit && !account.fits(estimate, &budget.limit) {
            return Err(Box::new(refused(key, budget, account, estimate)));
        }
        // Less than nothing, where a soft budget is exceeded.
        let after = account.used().plus(estimate).money;
        let left = budget.limit.money_after(account.requests);
        let left = left.map(|it| UsdNanos(it.0.saturating_sub(after.0)));
        if !self.is_of_others(budget, &call.subject) {
            reserved.remaining = least(reserved.remaining, left);
        }
        let grants = self.grants.as_ref();
        let elsewhere = grants.map(|it| it.set_aside_elsewhere(key)).unwrap_or_default();
        if account.is_nearly_used(elsewhere, &budget.limit) {
            reserved.nearly_used.push(budget.id.clone());
        }
        Ok(())
    }

    /// Whether calls of other teams are in the account of a budget that a call falls under. A gateway alone has one owner.
    fn is_of_others(&self, budget: &Budget, subject: &Subject) -> bool {
        self.grants.is_some() && subject.is_of_a_team() && budget.scope.spans_teams()
    }

    fn hold(&mut self, call: &Reservation, accounts: Vec<AccountKey>) {
        for key in &accounts {
            let account = self.accounts.entry(key.clone()).or_default();
            account.held = account.held.plus(call.estimate);
        }
        let (subject, estimate, deadline) = (call.subject.clone(), call.estimate, call.deadline);
        let requests = call.requests;
        self.open.insert(call.id, Open { accounts, subject, estimate, deadline, requests });
    }

    fn close(&mut self, id: CallId, open: Open, cost: Amount, close: Close) -> Settled {
        let Open { accounts, estimate, requests, .. } = open;
        let overrun = cost.beyond(estimate);
        let mut alerts = Vec::new();
        for key in &accounts {
            let Some(account) = self.accounts.get_mut(key) else { continue };
            account.held = account.held.minus(estimate);
            account.overrun = account.overrun.plus(overrun);
            if close != Close::Cancelled {
                account.requests = account.requests.saturating_add(requests);
            }
            account.spent = account.spent.plus(cost);
            match &mut self.grants {
                Some(grants) if close != Close::Cancelled => {
                    grants.spend(key, cost, (estimate, requests));
                }
                Some(_) => {}
                None => alerts.extend(alert(&self.all, key, account)),
            }
        }
        let is_late = close == Close::Expired;
        let charged = is_late.then(|| Box::new(Charged { accounts, estimate }));
        self.remember(id, Closed { close, charged });
        Settled { charged: cost, overrun, alerts, close: Some(close) }
    }

    fn correct(&mut self, keys: &[AccountKey], charged: Amount, cost: Amount) -> Settled {
        let overrun = cost.beyond(charged);
        let mut alerts = Vec::new();
        for key in keys {
            let account = self.accounts.entry(key.clone()).or_default();
            account.spent = account.spent.minus(charged).plus(cost);
            account.overrun = account.overrun.plus(overrun);
            match &mut self.grants {
                Some(grants) => grants.correct(key, cost.minus(charged), overrun),
                None => alerts.extend(alert(&self.all, key, account)),
            }
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

fn refused(key: &AccountKey, budget: &Budget, account: Account, needed: Amount) -> Refused {
    Refused {
        budget: budget.id.clone(),
        account: key.values.to_string(),
        used: account.used(),
        needed,
        limit: budget.limit,
        frees_at: budget.window.end(key.window),
        is_of_others: false,
    }
}

fn alert(budgets: &BudgetSet, key: &AccountKey, account: &mut Account) -> Option<Alert> {
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

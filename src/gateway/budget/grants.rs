//! What one process may spend of budgets that others spend of too: parts of accounts that the store has set
//! aside for it. Pure: what is asked, given, spent and given back; the store is written by `ledger::stored`.
//!
//! What holds in each account of a hard budget: `held + leaving <= granted` here, and
//! `spent + granted of all processes <= limit + overrun` in the store. No call is let through that does not also fit
//! beside all that is known to be spent: not even with what was granted before others cost more than they had reserved.

mod need;

use std::collections::{BTreeMap, HashMap};

use super::account::{Account, Amount};
use super::scope::Subject;
use super::set::AccountKey;
use super::{Budget, Budgets, Mode, Refused, Reservation};
use crate::model::{Milliseconds, Timestamp};
use crate::store::spend::accounts::{AccountName, AccountRow};
use crate::store::spend::batches::AccountChange;
use crate::store::spend::spenders::{Grant, Held};
pub use need::{Need, asks, decide, decide_exactly};
use need::{ceiling, half, key, left, left_of, limited, name, part, requests};

/// How long an account that had not enough is not asked for as much again.
const REFUSED_FOR: Milliseconds = Milliseconds(250);
/// How long after others were short of an account everything of it that is not used goes back.
const SHORT_FOR: Milliseconds = Milliseconds(10_000);

/// What is granted of one account.
#[derive(Debug, Default)]
struct Own {
    /// As the store has it.
    granted: Amount,
    /// Granted to other processes, as it was known last.
    others: Amount,
    /// Not in a batch yet.
    waiting: AccountChange,
    /// In the batch that is being written.
    flying: AccountChange,
    /// What `waiting` has spent that nothing was granted for, as where calls cost more than they had reserved: the
    /// store knows nothing of it.
    uncovered: Amount,
    /// The same of `flying`.
    uncovered_flying: Amount,
    /// What calls wait for.
    wanted: Amount,
    /// The most that was held of late.
    peak: Amount,
    /// When the store refused how much.
    refused: Option<(Timestamp, Amount)>,
    /// When a process was short of it.
    short_at: Timestamp,
}

impl Own {
    fn leaving(&self) -> Amount {
        self.waiting.released.plus(self.flying.released)
    }

    /// May be negative where a budget has become a hard one.
    fn free(&self, held: Amount) -> Amount {
        self.granted.minus(self.leaving()).minus(held)
    }

    fn unwritten(&self) -> (Amount, u64) {
        let requests = self.waiting.requests.saturating_add(self.flying.requests);
        (self.waiting.spent.plus(self.flying.spent), u64::try_from(requests).unwrap_or_default())
    }

    /// What is spent, and neither granted nor known to the store.
    fn uncovered(&self) -> Amount {
        self.uncovered.plus(self.uncovered_flying)
    }

    /// Gives what was released of it.
    fn release(&mut self, amount: Amount) -> Amount {
        let amount = amount.least(self.granted.minus(self.leaving())).most(Amount::default());
        self.waiting.released = self.waiting.released.plus(amount);
        amount
    }

    fn is_empty(&self) -> bool {
        let none = AccountChange::default();
        self.granted == Amount::default()
            && (self.waiting, self.flying) == (none, none)
            && self.wanted == Amount::default()
    }
}

/// What is granted of all accounts.
#[derive(Debug, Default)]
pub struct Grants {
    all: HashMap<AccountKey, Own>,
}

impl Grants {
    /// Whether anything is known of an account.
    pub(super) fn has(&self, key: &AccountKey) -> bool {
        self.all.contains_key(key)
    }

    /// What counts as used in an account, and is only granted to others.
    pub(super) fn set_aside_elsewhere(&self, key: &AccountKey) -> Amount {
        self.all.get(key).map(|it| it.others).unwrap_or_default()
    }

    /// A call was charged. What it cost beyond its estimate was not granted.
    pub(super) fn spend(
        &mut self,
        key: &AccountKey,
        cost: Amount,
        (estimate, requests): (Amount, u64),
    ) {
        let own = self.all.entry(key.clone()).or_default();
        own.waiting.spent = own.waiting.spent.plus(cost);
        let requests = i64::try_from(requests).unwrap_or(i64::MAX);
        own.waiting.requests = own.waiting.requests.saturating_add(requests);
        own.waiting.overrun = own.waiting.overrun.plus(cost.beyond(estimate));
        let covered = own.release(cost.least(estimate));
        own.uncovered = own.uncovered.plus(cost.beyond(covered));
    }

    /// A call that was charged costs more, or less.
    pub(super) fn correct(&mut self, key: &AccountKey, more: Amount, overrun: Amount) {
        let own = self.all.entry(key.clone()).or_default();
        own.waiting.spent = own.waiting.spent.plus(more);
        own.waiting.overrun = own.waiting.overrun.plus(overrun);
        own.uncovered = own.uncovered.plus(more.most(Amount::default()));
    }
}

impl Budgets {
    /// What a call needs that was not granted, and accounts that it does not fit into with what is known to be spent
    /// of them, whatever is granted; nothing where the budgets are this process's alone.
    #[must_use]
    pub fn needs(&self, call: &Reservation, now: Timestamp) -> Vec<Need> {
        let Some(grants) = &self.grants else { return Vec::new() };
        let mut needs = Vec::new();
        for key in self.all.keys(&call.subject, now) {
            let Some(budget) = self.hard(&key) else { continue };
            let (own, account) = (grants.all.get(&key), self.account(&key));
            let held = account.held;
            let free = own.map_or_else(|| Amount::default().minus(held), |it| it.free(held));
            let least = limited(&budget.limit, call.estimate.beyond(free));
            let room = left(&budget.limit, account.used(), account.requests);
            // What costs nothing fits anywhere.
            let is_over = call.estimate.beyond(room.most(Amount::default())) != Amount::default();
            if is_over || least != Amount::default() {
                let wanted = own.map(|it| it.wanted).unwrap_or_default();
                let wish = limited(&budget.limit, wanted.beyond(free));
                let (limit, requests) = (budget.limit, account.requests);
                let uncovered = own.map(Own::uncovered).unwrap_or_default();
                needs.push(Need { key, least, wish, uncovered, limit, requests });
            }
        }
        needs
    }

    /// All that a call needs, whatever was granted to this process: it is held for the call alone.
    #[must_use]
    pub fn whole_needs(&self, call: &Reservation, now: Timestamp) -> Vec<Need> {
        let keys = self.all.keys(&call.subject, now).into_iter();
        let need = |key: AccountKey| {
            let limit = self.hard(&key)?.limit;
            let (least, requests) = (limited(&limit, call.estimate), self.account(&key).requests);
            let is_needed = least != Amount::default();
            let (wish, uncovered) = (Amount::default(), self.uncovered(&key));
            is_needed.then_some(Need { key, least, wish, uncovered, limit, requests })
        };
        keys.filter_map(need).collect()
    }

    /// What changes in accounts when a call that was held has cost so much, but for what was set aside.
    #[must_use]
    pub fn whole_changes(
        &self,
        call: &Reservation,
        cost: Amount,
        held_at: Timestamp,
    ) -> BTreeMap<AccountName, AccountChange> {
        let keys = self.all.keys(&call.subject, held_at).into_iter();
        let change = |key: AccountKey| {
            let limit = self.all.get(&key.budget)?.limit;
            let change = AccountChange {
                ceiling: ceiling(&limit, self.account(&key).requests),
                spent: cost,
                requests: i64::try_from(call.requests).unwrap_or(i64::MAX),
                overrun: cost.beyond(call.estimate),
                released: Amount::default(),
            };
            Some((name(&key), change))
        };
        keys.filter_map(change).collect()
    }

    /// Why a call does not fit into an account that stands so.
    #[must_use]
    pub fn refusal_by(&self, need: &Need, row: &AccountRow, call: &Reservation) -> Refused {
        let used = row.spent().plus(row.granted()).plus(need.uncovered);
        Refused { used, ..self.refusal(need, call) }
    }

    /// The accounts of a subject that the store was never asked about, to learn how they stand.
    #[must_use]
    pub fn unknown(&self, subject: &Subject, now: Timestamp) -> Vec<Need> {
        let Some(grants) = &self.grants else { return Vec::new() };
        let keys = self.all.keys(subject, now).into_iter();
        let is_known =
            |it: &AccountKey| grants.all.contains_key(it) && self.accounts.contains_key(it);
        let unknown = keys.filter(|it| !is_known(it));
        let need = |key: AccountKey| {
            let (limit, none) = (self.hard(&key)?.limit, Amount::default());
            let requests = self.account(&key).requests;
            Some(Need { key, least: none, wish: none, uncovered: none, limit, requests })
        };
        unknown.filter_map(need).collect()
    }

    /// A call waits for what it needs, or no longer does.
    pub fn want(&mut self, call: &Reservation, needs: &[Need], is_waiting: bool) {
        let Some(grants) = &mut self.grants else { return };
        for need in needs {
            let own = grants.all.entry(need.key.clone()).or_default();
            let wanted = if is_waiting {
                own.wanted.plus(call.estimate)
            } else {
                own.wanted.minus(call.estimate)
            };
            own.wanted = wanted.most(Amount::default());
        }
    }

    /// The need that was refused a moment ago.
    #[must_use]
    pub fn just_refused<'a>(&self, needs: &'a [Need], now: Timestamp) -> Option<&'a Need> {
        let grants = self.grants.as_ref()?;
        needs.iter().find(|need| {
            let refused = grants.all.get(&need.key).and_then(|it| it.refused);
            refused.is_some_and(|(at, least)| {
                now.since(at) < REFUSED_FOR && need.least.most(least) == need.least
            })
        })
    }

    /// Takes what the store gave for `needs`, or how accounts stand that have not enough. Gives the need that
    /// was short, and whether it would fit if other processes gave back what they do not use.
    pub fn take_grant<'a>(
        &mut self,
        needs: &'a [Need],
        (grant, rows): (&Grant, &[AccountRow]),
    ) -> Option<(&'a Need, bool)> {
        for (index, (need, row)) in needs.iter().zip(rows).enumerate() {
            let Some(grants) = &mut self.grants else { return None };
            let own = grants.all.entry(need.key.clone()).or_default();
            let amount = match grant {
                Grant::Given(amounts) => amounts.get(index).copied().unwrap_or_default(),
                Grant::Short(_) => Amount::default(),
            };
            let before = own.granted;
            own.granted = before.plus(amount);
            self.learn(&need.key, row, before);
        }
        match grant {
            Grant::Given(_) => None,
            Grant::Short(index) => {
                let (need, row) = (needs.get(*index)?, rows.get(*index)?);
                Some((need, self.is_set_aside_elsewhere(need, row)))
            }
        }
    }

    /// An account has not enough, and will not be asked for as much for a moment.
    pub fn note_refused(&mut self, need: &Need, now: Timestamp) {
        let Some(grants) = &mut self.grants else { return };
        grants.all.entry(need.key.clone()).or_default().refused = Some((now, need.least));
    }

    fn is_set_aside_elsewhere(&self, need: &Need, row: &AccountRow) -> bool {
        let own = self.grants.as_ref().and_then(|it| it.all.get(&need.key));
        let own = own.map(|it| it.granted).unwrap_or_default();
        let others = row.granted().minus(own);
        let used = row.spent().plus(own).plus(need.uncovered);
        let without = left(&need.limit, used, requests(row)).minus(need.least);
        (others.money.0 > 0 || others.tokens > 0) && without.money.0 >= 0 && without.tokens >= 0
    }

    /// Why a call does not fit.
    #[must_use]
    pub fn refusal(&self, need: &Need, call: &Reservation) -> Refused {
        let account = self.accounts.get(&need.key).copied().unwrap_or_default();
        let budget = self.all.get(&need.key.budget);
        let gone = Budget {
            id: need.key.budget.to_string(),
            scope: super::Scope::default(),
            window: super::Window::Whole,
            limit: need.limit,
            mode: Mode::Hard,
        };
        let budget = budget.unwrap_or(&gone);
        let is_of_others = self.is_of_others(budget, &call.subject);
        let refused = super::refused(&need.key, budget, account, call.estimate);
        Refused { is_of_others, ..refused }
    }

    /// Takes what is to be written of accounts.
    pub fn take_changes(&mut self) -> BTreeMap<AccountName, AccountChange> {
        let mut changes = BTreeMap::new();
        let Some(grants) = &mut self.grants else { return changes };
        for (key, own) in &mut grants.all {
            if own.waiting == AccountChange::default() || own.flying != AccountChange::default() {
                continue;
            }
            own.flying = std::mem::take(&mut own.waiting);
            own.uncovered_flying = std::mem::take(&mut own.uncovered);
            let account = self.accounts.get(key).copied().unwrap_or_default();
            let limit = self.all.get(&key.budget).map(|it| it.limit).unwrap_or_default();
            own.flying.ceiling = ceiling(&limit, account.requests);
            changes.insert(name(key), own.flying);
        }
        changes
    }

    /// What was taken is written; `rows` are the accounts as they are now.
    pub fn written(&mut self, rows: &[AccountRow]) {
        let Some(grants) = &mut self.grants else { return };
        for own in grants.all.values_mut() {
            let flown = std::mem::take(&mut own.flying);
            own.uncovered_flying = Amount::default();
            own.granted = own.granted.minus(flown.released);
        }
        for row in rows {
            let key = key(row);
            let own = self.grants.as_ref().and_then(|it| it.all.get(&key));
            let granted = own.map(|it| it.granted).unwrap_or_default();
            self.learn(&key, row, granted);
        }
    }

    /// Takes what the store says is granted, when nothing is asked or written meanwhile.
    pub fn take_standing(&mut self, held: &[Held]) {
        let Some(grants) = &mut self.grants else { return };
        for own in grants.all.values_mut() {
            own.granted = Amount::default();
        }
        for it in held {
            let (key, granted) =
                (key(&it.account), Amount { money: it.own, tokens: it.own_tokens });
            if let Some(grants) = &mut self.grants {
                grants.all.entry(key.clone()).or_default().granted = granted;
            }
            self.learn(&key, &it.account, granted);
        }
    }

    /// Lets go what calls have not used for a while; everything, of accounts that others are short of and of
    /// windows that are over. What is forgotten is in the store.
    pub fn give_back(&mut self, now: Timestamp) {
        let (all, accounts) = (&self.all, &self.accounts);
        let Some(grants) = &mut self.grants else { return };
        for (key, own) in &mut grants.all {
            let held = accounts.get(key).map(|it| it.held).unwrap_or_default();
            let free = own.free(held).most(Amount::default());
            let used = held.plus(own.wanted);
            own.peak = used.most(half(own.peak));
            let budget = all.get(&key.budget).filter(|it| it.mode == Mode::Hard);
            let is_short = now.since(own.short_at) < SHORT_FOR;
            let spare = match budget {
                Some(budget)
                    if !is_short && own.peak != Amount::default() && !all.is_over(key, now) =>
                {
                    let some = part(&budget.limit, key, left_of(&budget.limit));
                    let kept = own.peak.minus(held).plus(some);
                    let is_much = free.beyond(kept.plus(some)) != Amount::default();
                    if is_much { free.beyond(kept) } else { Amount::default() }
                }
                _ => free,
            };
            own.release(spare);
        }
        grants.all.retain(|key, own| {
            !own.is_empty() || own.peak != Amount::default() || all.is_of_one_run(key)
        });
    }

    /// Lets go all that calls do not hold.
    pub fn give_back_all(&mut self) {
        let Some(grants) = &mut self.grants else { return };
        for (key, own) in &mut grants.all {
            let held = self.accounts.get(key).map(|it| it.held).unwrap_or_default();
            own.release(own.free(held));
        }
    }

    /// Lets go what calls do not hold of a budget that has changed.
    pub(super) fn recall(&mut self, id: &str) {
        let Some(grants) = &mut self.grants else { return };
        for (key, own) in grants.all.iter_mut().filter(|it| &*it.0.budget == id) {
            let held = self.accounts.get(key).map(|it| it.held).unwrap_or_default();
            own.release(own.free(held));
        }
    }

    /// How an account stands: what is spent of it, and what others may spend, is used for this process.
    fn learn(&mut self, key: &AccountKey, row: &AccountRow, granted: Amount) {
        let Some(grants) = &mut self.grants else { return };
        let own = grants.all.entry(key.clone()).or_default();
        own.short_at = own.short_at.max(row.short_at);
        own.others = row.granted().minus(granted);
        let (others, (unwritten, more)) = (own.others, own.unwritten());
        let account = self.accounts.entry(key.clone()).or_default();
        account.spent = row.spent().plus(others).plus(unwritten);
        account.requests = requests(row).saturating_add(more);
    }

    fn hard(&self, key: &AccountKey) -> Option<&Budget> {
        self.all.get(&key.budget).filter(|it| it.mode == Mode::Hard)
    }

    fn account(&self, key: &AccountKey) -> Account {
        self.accounts.get(key).copied().unwrap_or_default()
    }

    fn uncovered(&self, key: &AccountKey) -> Amount {
        let own = self.grants.as_ref().and_then(|it| it.all.get(key));
        own.map(Own::uncovered).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

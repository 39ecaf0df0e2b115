//! What a call needs of accounts, and how much of it is given: decided in the store's transaction, of accounts as they
//! stand there. Pure, and knows nothing of what a process has already.

use crate::gateway::budget::account::{Amount, Limit};
use crate::gateway::budget::set::AccountKey;
use crate::model::UsdNanos;
use crate::store::spend::accounts::{AccountName, AccountRow, Ceiling};
use crate::store::spend::spenders::{Ask, Grant};

/// Something that a call needs and that is not granted yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// Of which account.
    pub key: AccountKey,
    /// What it must have.
    pub least: Amount,
    /// What all calls that wait for it could use.
    pub wish: Amount,
    /// What this process has spent of it that the store knows nothing of yet, and that was not granted.
    pub uncovered: Amount,
    pub(super) limit: Limit,
    pub(super) requests: u64,
}

/// What the store is asked, in the order of the names.
#[must_use]
pub fn asks(needs: &[Need]) -> Vec<Ask> {
    let ask = |it: &Need| Ask { name: name(&it.key), ceiling: ceiling(&it.limit, it.requests) };
    needs.iter().map(ask).collect()
}

/// What is granted of accounts that stand so: to each need what it must have, and something more, or to none.
#[must_use]
pub fn decide(needs: &[Need], rows: &[AccountRow]) -> Grant {
    let mut given = Vec::with_capacity(needs.len());
    for (index, (need, row)) in needs.iter().zip(rows).enumerate() {
        let left = left_for(need, row);
        if need.least.beyond(left) != Amount::default() {
            return Grant::Short(index);
        }
        let more = if need.least == Amount::default() {
            Amount::default()
        } else {
            let some = part(&need.limit, &need.key, left);
            limited(&need.limit, some.most(need.wish.least(half(left))))
        };
        given.push(need.least.most(more).least(left.most(need.least)));
    }
    Grant::Given(given)
}

/// The same without anything more.
#[must_use]
pub fn decide_exactly(needs: &[Need], rows: &[AccountRow]) -> Grant {
    let is_short = |(need, row): (&Need, &AccountRow)| {
        let left = left_for(need, row);
        need.least.beyond(left) != Amount::default()
    };
    match needs.iter().zip(rows).position(is_short) {
        Some(index) => Grant::Short(index),
        None => Grant::Given(needs.iter().map(|it| it.least).collect()),
    }
}

/// What an account that stands so has left for a need. What is uncovered may be in its row already, when the word that
/// it is written is still on its way: too little is left then for a moment.
fn left_for(need: &Need, row: &AccountRow) -> Amount {
    let used = row.spent().plus(row.granted()).plus(need.uncovered);
    left(&need.limit, used, requests(row))
}

/// A little of what is left, so that the next calls need not ask. Calls of one run come from one process.
pub(super) fn part(limit: &Limit, key: &AccountKey, left: Amount) -> Amount {
    let parts = if key.values.contains("run=") { 16 } else { 200 };
    let all = left_of(limit);
    let divided =
        |it: Amount, by: i64| Amount { money: UsdNanos(it.money.0 / by), tokens: it.tokens / by };
    limited(limit, divided(all, parts).least(divided(left.most(Amount::default()), 8)))
}

/// All of a limit; without bounds where there is none.
pub(super) fn left_of(limit: &Limit) -> Amount {
    left(limit, Amount::default(), 0)
}

pub(super) fn left(limit: &Limit, used: Amount, requests: u64) -> Amount {
    let money =
        limit.money_after(requests).map_or(i64::MAX, |it| it.0.saturating_sub(used.money.0));
    let tokens = limit.tokens.map_or(i64::MAX, |it| it.saturating_sub(used.tokens));
    Amount { money: UsdNanos(money), tokens }
}

/// Without what is not limited.
pub(super) fn limited(limit: &Limit, amount: Amount) -> Amount {
    let has_money = limit.money.is_some() || limit.per_thousand.is_some();
    let money = if has_money { amount.money } else { UsdNanos(0) };
    let tokens = if limit.tokens.is_some() { amount.tokens } else { 0 };
    Amount { money, tokens }
}

pub(super) fn half(amount: Amount) -> Amount {
    Amount { money: UsdNanos(amount.money.0 / 2), tokens: amount.tokens / 2 }
}

pub(super) fn ceiling(limit: &Limit, requests: u64) -> Ceiling {
    Ceiling { money: limit.money_after(requests), tokens: limit.tokens }
}

pub(super) fn requests(row: &AccountRow) -> u64 {
    u64::try_from(row.requests).unwrap_or_default()
}

pub(super) fn name(key: &AccountKey) -> AccountName {
    let (budget, account) = (key.budget.to_string(), key.values.to_string());
    AccountName { budget, account, began_at: key.window }
}

pub(super) fn key(row: &AccountRow) -> AccountKey {
    let (budget, values) = (row.budget.as_str().into(), row.account.as_str().into());
    AccountKey { budget, values, window: row.began_at }
}

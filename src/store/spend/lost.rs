//! What dead processes may have spent: what was set aside for them counts as spent, and stands in the ledger.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::AccountRow;
use super::alerts::{AlertRow, tell_of_thresholds};
use super::calls::{CallRow, Owner, insert_calls};
use super::spenders::{GRANTS, GrantRow, MOVE};
use crate::model::{Amount, Milliseconds, Timestamp, UsdNanos};
use crate::store::{Store, StoreError, in_transaction};

/// How long the longest call is taken to go on: what was let through before a budget was made or changed may not be in
/// its account.
const LONGEST_CALL: Milliseconds = Milliseconds::from_seconds(3600);

/// A process that was taken for dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lapsed {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What stands in the ledger for it.
    pub charged: Amount,
    /// Thresholds that were crossed.
    pub alerts: Vec<AlertRow>,
}

impl Store {
    /// Takes one process for dead whose time has passed, and what was set aside for it for spent. Should it live
    /// after all, its next sign of life takes that back.
    #[expect(clippy::cognitive_complexity, reason = "the body is there twice, once a database")]
    pub async fn lapse_spender(&self, now: Timestamp) -> Result<Option<Lapsed>, StoreError> {
        const FIND: &str = "
            UPDATE spenders SET lapsed = true
            WHERE NOT lapsed AND expires_at < $1 AND id = (
                SELECT id FROM spenders WHERE NOT lapsed AND expires_at < $1
                ORDER BY expires_at, id LIMIT 1
            )
            RETURNING id, name, expires_at";
        const CHANGED: &str = "SELECT changed_at FROM budgets WHERE id = $1";
        let lapsed = in_transaction!(self, tx => {
            let found: Option<(String, String, Timestamp)> =
                sqlx::query_as(FIND).bind(now).fetch_optional(&mut *tx).await?;
            match found {
                None => None,
                Some((id, name, expires_at)) => {
                    let grants: Vec<GrantRow> =
                        sqlx::query_as(GRANTS).bind(&id).fetch_all(&mut *tx).await?;
                    let (mut rests, mut alerts) = (Vec::new(), Vec::new());
                    for grant in grants {
                        let row: Option<AccountRow> = sqlx::query_as(MOVE)
                            .bind(&grant.budget)
                            .bind(&grant.account)
                            .bind(grant.began_at)
                            .bind(grant.granted)
                            .bind(grant.tokens)
                            .fetch_optional(&mut *tx)
                            .await?;
                        if let Some(row) = row {
                            tell_of_thresholds!(tx, &row, now, alerts);
                            let changed: Option<Timestamp> = sqlx::query_scalar(CHANGED)
                                .bind(&grant.budget)
                                .fetch_optional(&mut *tx)
                                .await?;
                            let is_old =
                                changed.is_none_or(|it| it.plus(LONGEST_CALL) <= expires_at);
                            rests.push(Rest::new((&row, is_old), grant.amount()));
                        }
                    }
                    let rows = rows(&id, &name, &rests, now);
                    insert_calls!(tx, &rows);
                    let amount = |it: &CallRow| Amount { money: it.cost, tokens: it.tokens };
                    let charged = rows.iter().map(amount).fold(Amount::default(), Amount::plus);
                    Some(Lapsed { id, name, charged, alerts })
                }
            }
        });
        Ok(lapsed)
    }
}

/// What a process had of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rest {
    budget: String,
    parts: BTreeSet<String>,
    limits_money: bool,
    limits_tokens: bool,
    /// Whether all calls of the process that it is for are in it: the budget was there before them.
    is_old: bool,
    amount: Amount,
}

impl Rest {
    fn new((row, is_old): (&AccountRow, bool), amount: Amount) -> Self {
        Self {
            budget: row.budget.clone(),
            parts: row.account.split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            limits_money: row.max_money.is_some(),
            limits_tokens: row.max_tokens.is_some(),
            is_old,
            amount,
        }
    }
}

/// Whose calls have all of these parts, and of which model.
fn owner(parts: &BTreeSet<String>) -> (Owner, String) {
    let part = |kind: &str| {
        let value = parts.iter().find_map(|it| it.strip_prefix(kind)?.strip_prefix('='));
        value.unwrap_or_default().to_owned()
    };
    let owner = Owner {
        organisation: part("organisation"),
        team: part("team"),
        project: part("project"),
        pipeline: part("pipeline"),
        run: part("run"),
        stage: part("stage"),
        endpoint: part("endpoint"),
    };
    (owner, part("model"))
}

/// Rows of the ledger that together are not less than what the process can have spent without writing it. A
/// call holds in all its accounts: of several budgets for the same calls the least says what they can have spent, and
/// one whose calls all fall under a wider one as well adds nothing to that.
fn rows(id: &str, name: &str, rests: &[Rest], now: Timestamp) -> Vec<CallRow> {
    let mut by_calls: BTreeMap<&BTreeSet<String>, Vec<&Rest>> = BTreeMap::new();
    for rest in rests {
        by_calls.entry(&rest.parts).or_default().push(rest);
    }
    let mut rows = Vec::new();
    for (index, (parts, own)) in by_calls.iter().enumerate() {
        let spent = |limits: fn(&Rest) -> bool, of: fn(Amount) -> i64| {
            let is_wider = |it: &Rest| it.parts.len() < parts.len() && it.parts.is_subset(parts);
            let is_within = rests.iter().any(|it| it.is_old && limits(it) && is_wider(it));
            if is_within { 0 } else { at_most(own, limits, of) }
        };
        let money = UsdNanos(spent(|it| it.limits_money, |it| it.money.0));
        let tokens = spent(|it| it.limits_tokens, |it| it.tokens);
        if money.0 == 0 && tokens == 0 {
            continue;
        }
        let (owner, model) = owner(parts);
        rows.push(CallRow {
            request: format!("{id}#{index}"),
            at: now,
            spender: id.to_owned(),
            key_name: name.to_owned(),
            owner,
            operation: "lost".to_owned(),
            model,
            origin: "live".to_owned(),
            usage: "{}".to_owned(),
            tokens,
            cost: money,
            reserved: money,
            flags: "lost".to_owned(),
            ..CallRow::default()
        });
    }
    rows
}

/// What calls can have spent that all these accounts are for: the least of what budgets have set aside which were there
/// before all of them, else the most. Windows of one budget have no calls in common.
fn at_most(rests: &[&Rest], limits: fn(&Rest) -> bool, of: fn(Amount) -> i64) -> i64 {
    let mut by_budget: BTreeMap<&str, (bool, i64)> = BTreeMap::new();
    for rest in rests.iter().filter(|it| limits(it)) {
        let sum = by_budget.entry(&rest.budget).or_insert((rest.is_old, 0));
        sum.1 = sum.1.saturating_add(of(rest.amount));
    }
    let old = by_budget.values().filter(|it| it.0).map(|it| it.1).min();
    old.or_else(|| by_budget.values().map(|it| it.1).max()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(account: &str, limits: &str, money: i64, tokens: i64) -> Rest {
        Rest {
            budget: format!("of {account}"),
            parts: account.split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            limits_money: limits.contains('m'),
            limits_tokens: limits.contains('t'),
            is_old: true,
            amount: Amount { money: UsdNanos(money), tokens },
        }
    }

    fn told(rests: &[Rest]) -> Vec<(String, String, i64, i64)> {
        let rows = rows("p", "server", rests, Timestamp(5));
        rows.into_iter().map(|it| (it.owner.team, it.owner.run, it.cost.0, it.tokens)).collect()
    }

    fn row(team: &str, run: &str, money: i64, tokens: i64) -> (String, String, i64, i64) {
        (team.to_owned(), run.to_owned(), money, tokens)
    }

    #[test]
    fn what_falls_under_a_wider_account_is_told_once() {
        let run = rest("run=7 team=a", "m", 30, 0);
        assert_eq!(told(std::slice::from_ref(&run)), [row("a", "7", 30, 0)]);
        let (a, b) = (rest("team=a", "m", 100, 0), rest("team=b", "m", 50, 0));
        assert_eq!(
            told(&[run.clone(), a.clone(), b.clone()]),
            [row("a", "", 100, 0), row("b", "", 50, 0)]
        );
        assert_eq!(
            told(&[a.clone(), run.clone(), rest("", "m", 120, 0), b]),
            [row("", "", 120, 0)]
        );
    }

    #[test]
    fn of_several_budgets_for_the_same_calls_the_least_is_told_whatever_they_are_called() {
        let of = |budget: &str, money: i64| Rest {
            budget: budget.to_owned(),
            ..rest("team=shop", "m", money, 0)
        };
        let least = [row("shop", "", 5, 0)];
        assert_eq!(told(&[of("month", 2500), of("tiny", 5)]), least);
        assert_eq!(told(&[of("a-tiny", 5), of("month", 2500)]), least);
        // Two windows of one budget have no call in common.
        assert_eq!(
            told(&[of("day", 30), of("day", 40), of("month", 90)]),
            [row("shop", "", 70, 0)]
        );
        assert_eq!(
            told(&[of("day", 30), of("day", 40), of("month", 60)]),
            [row("shop", "", 60, 0)]
        );
        // Nothing is set aside of one of them any more: all that was spent is written.
        assert!(told(&[of("day", 0), of("month", 60)]).is_empty());
        let tokens = Rest { budget: "t".to_owned(), ..rest("team=shop", "t", 0, 9) };
        assert_eq!(told(&[tokens, of("month", 60)]), [row("shop", "", 60, 9)]);
    }

    #[test]
    fn a_budget_that_is_younger_than_calls_may_be_says_nothing_of_them() {
        let of = |budget: &str, money: i64, is_old: bool| Rest {
            budget: budget.to_owned(),
            is_old,
            ..rest("team=shop", "m", money, 0)
        };
        assert_eq!(told(&[of("a", 5, false), of("b", 60, true)]), [row("shop", "", 60, 0)]);
        assert_eq!(told(&[of("a", 5, false), of("b", 60, false)]), [row("shop", "", 60, 0)]);
        let all = Rest { is_old: false, ..rest("", "m", 20, 0) };
        assert_eq!(told(&[all, of("b", 60, true)]), [row("", "", 20, 0), row("shop", "", 60, 0)]);
    }

    #[test]
    fn an_account_of_tokens_says_nothing_of_money() {
        let (all, team) = (rest("", "t", 0, 70), rest("team=a", "mt", 100, 40));
        assert_eq!(told(&[all, team]), [row("", "", 0, 70), row("a", "", 100, 0)]);
    }
}

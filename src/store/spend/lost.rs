//! What dead processes may have spent: what was set aside for them counts as spent, and stands in the ledger.

use std::collections::BTreeSet;

use super::accounts::AccountRow;
use super::alerts::{AlertRow, tell_of_thresholds};
use super::calls::{CallRow, Owner, insert_calls};
use super::spenders::{GRANTS, GrantRow, MOVE};
use crate::model::{Amount, Timestamp, UsdNanos};
use crate::store::{Store, StoreError, in_transaction};

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
            RETURNING id, name";
        let lapsed = in_transaction!(self, tx => {
            let found: Option<(String, String)> =
                sqlx::query_as(FIND).bind(now).fetch_optional(&mut *tx).await?;
            match found {
                None => None,
                Some((id, name)) => {
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
                            rests.push(Rest::new(&row, grant.amount()));
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
    amount: Amount,
}

impl Rest {
    fn new(row: &AccountRow, amount: Amount) -> Self {
        Self {
            budget: row.budget.clone(),
            parts: row.account.split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            limits_money: row.max_money.is_some(),
            limits_tokens: row.max_tokens.is_some(),
            amount,
        }
    }

    fn owner(&self) -> (Owner, String) {
        let part = |kind: &str| {
            let value = self.parts.iter().find_map(|it| it.strip_prefix(kind)?.strip_prefix('='));
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
}

/// Rows of the ledger that together are not less than what the process can have spent without writing it. A
/// call holds in all its accounts, so one whose calls all fall under another as well adds nothing to it.
fn rows(id: &str, name: &str, rests: &[Rest], now: Timestamp) -> Vec<CallRow> {
    let mut rows = Vec::new();
    for (index, rest) in rests.iter().enumerate() {
        let is_within = |limits: fn(&Rest) -> bool| {
            rests.iter().enumerate().any(|(other, it)| {
                let has_fewer = it.parts.len() < rest.parts.len();
                // Windows of one budget have no calls in common.
                let is_twin =
                    it.parts.len() == rest.parts.len() && other < index && it.budget != rest.budget;
                it.parts.is_subset(&rest.parts) && (has_fewer || is_twin) && limits(it)
            })
        };
        let money = if is_within(|it| it.limits_money) { UsdNanos(0) } else { rest.amount.money };
        let tokens = if is_within(|it| it.limits_tokens) { 0 } else { rest.amount.tokens };
        if money.0 == 0 && tokens == 0 {
            continue;
        }
        let (owner, model) = rest.owner();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(account: &str, limits: &str, money: i64, tokens: i64) -> Rest {
        Rest {
            budget: format!("of {account}"),
            parts: account.split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            limits_money: limits.contains('m'),
            limits_tokens: limits.contains('t'),
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
        // Two budgets for the same calls, and two windows of one budget.
        let other = Rest { budget: "other".to_owned(), ..a.clone() };
        assert_eq!(told(&[a.clone(), other]), [row("a", "", 100, 0)]);
        assert_eq!(told(&[a.clone(), a.clone()]), [row("a", "", 100, 0), row("a", "", 100, 0)]);
    }

    #[test]
    fn an_account_of_tokens_says_nothing_of_money() {
        let (all, team) = (rest("", "t", 0, 70), rest("team=a", "mt", 100, 40));
        assert_eq!(told(&[all, team]), [row("", "", 0, 70), row("a", "", 100, 0)]);
    }
}

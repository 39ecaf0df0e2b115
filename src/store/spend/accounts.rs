//! The table `budget_accounts`: what is used of a budget in one window.

use sqlx::FromRow;

use crate::model::{Amount, Timestamp, UsdNanos};
use crate::store::{Store, StoreError, with_db, with_writer};

/// Names an account. Whoever locks several does it in this order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName {
    /// The budget.
    pub budget: String,
    /// Such as `team=core run=01k…`.
    pub account: String,
    /// When its window began.
    pub began_at: Timestamp,
}

/// The ceilings of an account. What is not given is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ceiling {
    /// Money.
    pub money: Option<UsdNanos>,
    /// Tokens.
    pub tokens: Option<i64>,
}

/// One row of `budget_accounts`.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct AccountRow {
    /// The budget.
    pub budget: String,
    /// Such as `team=core run=01k…`.
    pub account: String,
    /// When its window began.
    pub began_at: Timestamp,
    /// Money of closed calls, and of grants of dead processes.
    pub spent: UsdNanos,
    /// Their tokens.
    pub spent_tokens: i64,
    /// Money, among `spent`, of grants of dead processes: what they may have spent, and have not written.
    pub lost: UsdNanos,
    /// Tokens of those.
    pub lost_tokens: i64,
    /// Calls that were charged.
    pub requests: i64,
    /// What calls cost beyond their reservations.
    pub overrun: UsdNanos,
    /// The same in tokens.
    pub overrun_tokens: i64,
    /// Money that is set aside for processes.
    pub granted: UsdNanos,
    /// Tokens that are.
    pub granted_tokens: i64,
    /// The limit of money when it was used last.
    pub max_money: Option<UsdNanos>,
    /// The limit of tokens.
    pub max_tokens: Option<i64>,
    /// The highest threshold that was told of, in percent.
    pub alerted: i64,
    /// When a process asked for more than was left.
    pub short_at: Timestamp,
    /// When it was used last.
    pub used_at: Timestamp,
}

impl AccountRow {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> AccountName {
        let (budget, account) = (self.budget.clone(), self.account.clone());
        AccountName { budget, account, began_at: self.began_at }
    }

    /// What is spent.
    #[must_use]
    pub fn spent(&self) -> Amount {
        Amount { money: self.spent, tokens: self.spent_tokens }
    }

    /// What is set aside for processes.
    #[must_use]
    pub fn granted(&self) -> Amount {
        Amount { money: self.granted, tokens: self.granted_tokens }
    }

    /// How much of its ceilings is spent, in percent, at most 255.
    #[must_use]
    pub fn percent(&self) -> u8 {
        self.spent().percent_of(self.max_money, self.max_tokens)
    }
}

/// What is added to an account; what is negative is taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) ceiling: Ceiling,
    pub(super) spent: Amount,
    pub(super) requests: i64,
    pub(super) overrun: Amount,
    pub(super) granted: Amount,
}

pub(super) const ADD: &str = "
    INSERT INTO budget_accounts (
        budget, account, began_at, spent, spent_tokens, requests, overrun, overrun_tokens, granted,
        granted_tokens, max_money, max_tokens, alerted, short_at, used_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 0, $13)
    ON CONFLICT (budget, account, began_at) DO UPDATE SET
        spent = budget_accounts.spent + excluded.spent,
        spent_tokens = budget_accounts.spent_tokens + excluded.spent_tokens,
        requests = budget_accounts.requests + excluded.requests,
        overrun = budget_accounts.overrun + excluded.overrun,
        overrun_tokens = budget_accounts.overrun_tokens + excluded.overrun_tokens,
        granted = budget_accounts.granted + excluded.granted,
        granted_tokens = budget_accounts.granted_tokens + excluded.granted_tokens,
        max_money = excluded.max_money, max_tokens = excluded.max_tokens, used_at = excluded.used_at
    RETURNING *";

/// Adds to an account, which is locked until the end of the transaction, and gives it.
macro_rules! add_to_account {
    ($tx:expr, $name:expr, $added:expr, $now:expr) => {{
        let name: &$crate::store::spend::accounts::AccountName = $name;
        let added: $crate::store::spend::accounts::Added = $added;
        sqlx::query_as::<_, $crate::store::spend::accounts::AccountRow>(
            $crate::store::spend::accounts::ADD,
        )
        .bind(&name.budget)
        .bind(&name.account)
        .bind(name.began_at)
        .bind(added.spent.money)
        .bind(added.spent.tokens)
        .bind(added.requests)
        .bind(added.overrun.money)
        .bind(added.overrun.tokens)
        .bind(added.granted.money)
        .bind(added.granted.tokens)
        .bind(added.ceiling.money)
        .bind(added.ceiling.tokens)
        .bind($now)
        .fetch_one(&mut *$tx)
        .await?
    }};
}
pub(super) use add_to_account;

impl Store {
    /// Accounts of a budget, those of the newest window first, the most used of it before others.
    pub async fn list_accounts(
        &self,
        budget: &str,
        limit: u32,
    ) -> Result<Vec<AccountRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM budget_accounts WHERE budget = $1
            ORDER BY began_at DESC, spent DESC, account LIMIT $2";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL).bind(budget).bind(i64::from(limit)).fetch_all(db).await?
        }))
    }

    /// The accounts of a budget for one run.
    pub async fn list_accounts_of_run(&self, run: &str) -> Result<Vec<AccountRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM budget_accounts
            WHERE account = 'run=' || $1
                OR substr(account, 1, length($1) + 11) = 'run=' || $1 || ' stage='
            ORDER BY budget, account LIMIT 1000";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(run).fetch_all(db).await?))
    }

    /// Removes accounts that were not used since `before`, except those that never begin anew and those of
    /// which something is set aside; gives how many.
    pub async fn delete_accounts(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM budget_accounts WHERE (budget, account, began_at) IN (
                SELECT budget, account, began_at FROM budget_accounts
                WHERE used_at < $1 AND granted = 0 AND granted_tokens = 0
                    AND (began_at > 0 OR account LIKE '%run=%')
                ORDER BY used_at LIMIT $2
            )";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(before).bind(i64::from(limit)).execute(db).await?.rows_affected()
        }))
    }
}

//! The tables `spenders` and `budget_grants`: processes that may spend, and what each may spend without asking.

use sqlx::FromRow;

use super::accounts::{AccountName, AccountRow, Added, Ceiling, add_to_account};
use crate::model::{Amount, Timestamp, UsdNanos};
use crate::store::{Store, StoreError, in_transaction, with_db, with_writer};

/// A process that spends, and until when it is believed to be alive.
#[derive(Debug, Clone, Copy)]
pub struct Spender<'a> {
    /// New with each start.
    pub id: &'a str,
    /// Its name, for people.
    pub name: &'a str,
    /// The present.
    pub now: Timestamp,
    /// When it counts as dead, unless it gives a sign before.
    pub expires_at: Timestamp,
}

/// What is asked of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The account.
    pub name: AccountName,
    /// Its limits, to be shown.
    pub ceiling: Ceiling,
}

/// What is granted: something of each account, or nothing of any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// So much of each, in the order in which they were asked.
    Given(Vec<Amount>),
    /// This one has not enough.
    Short(usize),
}

/// An account of which a process has something.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Held {
    /// The account.
    #[sqlx(flatten)]
    pub account: AccountRow,
    /// Money of it that is set aside for the process.
    pub own: UsdNanos,
    /// Tokens of it that are.
    pub own_tokens: i64,
}

/// A grant, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(super) struct GrantRow {
    pub(super) budget: String,
    pub(super) account: String,
    pub(super) began_at: Timestamp,
    pub(super) granted: UsdNanos,
    pub(super) tokens: i64,
}

impl GrantRow {
    pub(super) fn amount(&self) -> Amount {
        Amount { money: self.granted, tokens: self.tokens }
    }
}

/// From granted to spent, or back when negative.
pub(super) const MOVE: &str = "
    UPDATE budget_accounts SET
        spent = spent + $4, spent_tokens = spent_tokens + $5,
        lost = lost + $4, lost_tokens = lost_tokens + $5,
        granted = granted - $4, granted_tokens = granted_tokens - $5
    WHERE budget = $1 AND account = $2 AND began_at = $3
    RETURNING *";
pub(super) const GRANTS: &str = "
    SELECT budget, account, began_at, granted, tokens FROM budget_grants
    WHERE spender = $1 ORDER BY budget, account, began_at";
pub(super) const SIGN: &str = "
    INSERT INTO spenders (id, name, batch, expires_at, lapsed) VALUES ($1, $2, 0, $3, false)
    ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at
    RETURNING lapsed, batch";
pub(super) const FORGET_LOSS: &str = "DELETE FROM model_calls WHERE spender = $1 AND attempt = 0";
pub(super) const REVIVE: &str = "UPDATE spenders SET lapsed = false WHERE id = $1";
pub(super) const ADD_GRANT: &str = "
    INSERT INTO budget_grants (spender, budget, account, began_at, granted, tokens)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (spender, budget, account, began_at) DO UPDATE SET
        granted = budget_grants.granted + excluded.granted,
        tokens = budget_grants.tokens + excluded.tokens";

/// A sign of life; gives the number of the last batch that was written. One that was taken for dead gets its
/// grants back: what was charged for them was charged for what might have been.
macro_rules! give_sign {
    ($tx:expr, $spender:expr) => {{
        use $crate::store::spend::spenders as own;
        let spender: &own::Spender<'_> = $spender;
        let (lapsed, batch): (bool, i64) = sqlx::query_as(own::SIGN)
            .bind(spender.id)
            .bind(spender.name)
            .bind(spender.expires_at)
            .fetch_one(&mut *$tx)
            .await?;
        if lapsed {
            let grants: Vec<own::GrantRow> =
                sqlx::query_as(own::GRANTS).bind(spender.id).fetch_all(&mut *$tx).await?;
            for grant in grants {
                sqlx::query(own::MOVE)
                    .bind(&grant.budget)
                    .bind(&grant.account)
                    .bind(grant.began_at)
                    .bind(grant.granted.0.saturating_neg())
                    .bind(grant.tokens.saturating_neg())
                    .execute(&mut *$tx)
                    .await?;
            }
            sqlx::query(own::FORGET_LOSS).bind(spender.id).execute(&mut *$tx).await?;
            sqlx::query(own::REVIVE).bind(spender.id).execute(&mut *$tx).await?;
        }
        batch
    }};
}
pub(super) use give_sign;

/// Adds to what is set aside for a process; not to the account.
macro_rules! add_to_grant {
    ($tx:expr, $spender:expr, $name:expr, $amount:expr) => {{
        let name: &$crate::store::spend::accounts::AccountName = $name;
        let amount: $crate::model::Amount = $amount;
        sqlx::query($crate::store::spend::spenders::ADD_GRANT)
            .bind($spender)
            .bind(&name.budget)
            .bind(&name.account)
            .bind(name.began_at)
            .bind(amount.money)
            .bind(amount.tokens)
            .execute(&mut *$tx)
            .await?;
    }};
}
pub(super) use add_to_grant;

impl Store {
    /// Sets something of each account aside for a process, as `decide` says, which sees them as they are and
    /// nobody changes them meanwhile. `asks` are in the order of their names. Gives the accounts as they were.
    #[expect(clippy::cognitive_complexity, reason = "the body is there twice, once a database")]
    pub async fn grant(
        &self,
        spender: &Spender<'_>,
        asks: &[Ask],
        decide: impl FnOnce(&[AccountRow]) -> Grant + Send,
    ) -> Result<(Grant, Vec<AccountRow>), StoreError> {
        const SHORT: &str = "
            UPDATE budget_accounts SET short_at = $4
            WHERE budget = $1 AND account = $2 AND began_at = $3";
        let answer = in_transaction!(self, tx => {
            give_sign!(tx, spender);
            let mut rows = Vec::with_capacity(asks.len());
            for ask in asks {
                let look = Added { ceiling: ask.ceiling, ..Added::default() };
                rows.push(add_to_account!(tx, &ask.name, look, spender.now));
            }
            let grant = decide(&rows);
            match &grant {
                Grant::Given(amounts) => {
                    for (ask, amount) in asks.iter().zip(amounts) {
                        if *amount == Amount::default() {
                            continue;
                        }
                        let added =
                            Added { ceiling: ask.ceiling, granted: *amount, ..Added::default() };
                        add_to_account!(tx, &ask.name, added, spender.now);
                        add_to_grant!(tx, spender.id, &ask.name, *amount);
                    }
                }
                Grant::Short(index) => {
                    if let Some(Ask { name, .. }) = asks.get(*index) {
                        sqlx::query(SHORT)
                            .bind(&name.budget)
                            .bind(&name.account)
                            .bind(name.began_at)
                            .bind(spender.now)
                            .execute(&mut *tx)
                            .await?;
                    }
                }
            }
            (grant, rows)
        });
        Ok(answer)
    }

    /// A sign of life. Gives what is set aside for the process, and the accounts that it is of.
    pub async fn beat_spender(&self, spender: &Spender<'_>) -> Result<Vec<Held>, StoreError> {
        const EMPTY: &str =
            "DELETE FROM budget_grants WHERE spender = $1 AND granted = 0 AND tokens = 0";
        Ok(in_transaction!(self, tx => {
            give_sign!(tx, spender);
            sqlx::query(EMPTY).bind(spender.id).execute(&mut *tx).await?;
            sqlx::query_as(HELD).bind(spender.id).fetch_all(&mut *tx).await?
        }))
    }

    /// What is set aside for a process, without a sign of life.
    pub async fn list_held(&self, spender: &str) -> Result<Vec<Held>, StoreError> {
        Ok(with_db!(self, db => sqlx::query_as(HELD).bind(spender).fetch_all(db).await?))
    }

    /// A process has ended as it should, and given back what it had; if it has not, it will lapse, or has.
    pub async fn delete_spender(&self, id: &str) -> Result<(), StoreError> {
        const SQL: &str = "
            DELETE FROM spenders WHERE id = $1 AND NOT EXISTS (
                SELECT 1 FROM budget_grants WHERE spender = $1 AND (granted <> 0 OR tokens <> 0)
            )";
        with_writer!(self, db => { sqlx::query(SQL).bind(id).execute(db).await?; });
        Ok(())
    }

    /// Forgets processes that were taken for dead and gave no sign since `before`; gives how many.
    pub async fn delete_lapsed_spenders(&self, before: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM spenders WHERE lapsed AND expires_at < $1";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(before).execute(db).await?.rows_affected()
        }))
    }
}

const HELD: &str = "
    SELECT a.*, g.granted AS own, g.tokens AS own_tokens
    FROM budget_grants g JOIN budget_accounts a
        ON a.budget = g.budget AND a.account = g.account AND a.began_at = g.began_at
    WHERE g.spender = $1";

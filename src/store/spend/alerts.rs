//! The table `budget_alerts`: thresholds that were crossed, each once in a window, whoever crossed it.

use sqlx::FromRow;

use super::accounts::AccountRow;
use crate::model::{Timestamp, UsdNanos};
use crate::store::{Store, StoreError, with_db, with_writer};

/// Percentages of a limit that are told of.
pub const THRESHOLDS: [u8; 3] = [50, 80, 100];

/// One row of `budget_alerts`.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct AlertRow {
    /// The budget.
    pub budget: String,
    /// The one of its accounts.
    pub account: String,
    /// When its window began.
    pub began_at: Timestamp,
    /// The threshold.
    pub percent: i64,
    /// When it was crossed.
    pub at: Timestamp,
    /// Money that was spent then.
    pub spent: UsdNanos,
    /// Tokens that were.
    pub spent_tokens: i64,
    /// The limit of money.
    pub max_money: Option<UsdNanos>,
    /// The limit of tokens.
    pub max_tokens: Option<i64>,
}

/// The highest threshold that was crossed and not told of.
pub(super) fn crossed(row: &AccountRow, at: Timestamp) -> Option<AlertRow> {
    let percent = row.percent();
    let crossed = THRESHOLDS.into_iter().rfind(|it| *it <= percent)?;
    (i64::from(crossed) > row.alerted).then(|| AlertRow {
        budget: row.budget.clone(),
        account: row.account.clone(),
        began_at: row.began_at,
        percent: i64::from(crossed),
        at,
        spent: row.spent,
        spent_tokens: row.spent_tokens,
        max_money: row.max_money,
        max_tokens: row.max_tokens,
    })
}

pub(super) const ALERTED: &str = "
    UPDATE budget_accounts SET alerted = $4 WHERE budget = $1 AND account = $2 AND began_at = $3";
pub(super) const ALERT: &str = "
    INSERT INTO budget_alerts (
        budget, account, began_at, percent, at, spent, spent_tokens, max_money, max_tokens
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (budget, account, began_at, percent) DO NOTHING";

/// Writes down that an account crossed a threshold, and adds it to `$alerts`.
macro_rules! tell_of_thresholds {
    ($tx:expr, $row:expr, $now:expr, $alerts:expr) => {{
        use $crate::store::spend::alerts as own;
        if let Some(alert) = own::crossed($row, $now) {
            sqlx::query(own::ALERTED)
                .bind(&alert.budget)
                .bind(&alert.account)
                .bind(alert.began_at)
                .bind(alert.percent)
                .execute(&mut *$tx)
                .await?;
            sqlx::query(own::ALERT)
                .bind(&alert.budget)
                .bind(&alert.account)
                .bind(alert.began_at)
                .bind(alert.percent)
                .bind(alert.at)
                .bind(alert.spent)
                .bind(alert.spent_tokens)
                .bind(alert.max_money)
                .bind(alert.max_tokens)
                .execute(&mut *$tx)
                .await?;
            $alerts.push(alert);
        }
    }};
}
pub(super) use tell_of_thresholds;

impl Store {
    /// Alerts that nobody was told of yet, oldest first.
    pub async fn list_alerts_to_tell(&self, limit: u32) -> Result<Vec<AlertRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM budget_alerts WHERE told_at IS NULL ORDER BY at, budget, account LIMIT $1";
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL).bind(i64::from(limit)).fetch_all(db).await?
        }))
    }

    /// An alert was handed on.
    pub async fn save_alert_told(
        &self,
        alert: &AlertRow,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE budget_alerts SET told_at = $5
            WHERE budget = $1 AND account = $2 AND began_at = $3 AND percent = $4";
        with_writer!(self, db => {
            sqlx::query(SQL)
                .bind(&alert.budget)
                .bind(&alert.account)
                .bind(alert.began_at)
                .bind(alert.percent)
                .bind(now)
                .execute(db)
                .await?;
        });
        Ok(())
    }

    /// Removes alerts of before a moment; gives how many.
    pub async fn delete_alerts(&self, before: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM budget_alerts WHERE at < $1";
        Ok(with_writer!(self, db => {
            sqlx::query(SQL).bind(before).execute(db).await?.rows_affected()
        }))
    }
}

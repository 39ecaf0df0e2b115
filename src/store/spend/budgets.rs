//! The table `budgets`: ceilings that people have set. Rows stay when a budget is removed.

use sqlx::{FromRow, QueryBuilder};

use super::sums::{SpendBy, SpendFilter, push_source};
use crate::model::{Timestamp, UsdNanos};
use crate::store::audit::{AuditRow, insert_event};
use crate::store::{Store, StoreError, in_transaction, with_db};

/// For so long a process that gives no sign may still come back, and know what was set aside for it: ten minutes.
const MAY_COME_BACK: i64 = 600_000;

/// One row of `budgets`.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct BudgetRow {
    /// Its name; of a team: `team/name`.
    pub id: String,
    /// Name of the team whose it is, or empty: the installation's.
    pub team: String,
    /// Which calls: JSON, names by what they are of.
    pub scope: String,
    /// Word of the span after which it begins anew.
    pub span: String,
    /// Money in a window.
    pub money: Option<UsdNanos>,
    /// Tokens in a window.
    pub tokens: Option<i64>,
    /// Money for a thousand requests.
    pub per_thousand: Option<UsdNanos>,
    /// Requests that the ceiling above takes for granted at the start of a window.
    pub at_least_requests: i64,
    /// `hard` or `soft`.
    pub mode: String,
    /// Grows with each change.
    pub version: i64,
    /// Who changed it last.
    pub set_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
    /// When it was removed.
    pub archived_at: Option<Timestamp>,
    /// From when on what was spent counts.
    pub counted_from: Timestamp,
}

/// What calls of one account have come to, as the ledger has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct CountedRow {
    /// Such as `team=core run=01k…`.
    pub account: String,
    /// Money.
    pub money: UsdNanos,
    /// Tokens that budgets count.
    pub tokens: i64,
    /// Attempts that went out.
    pub requests: i64,
}

impl Store {
    /// Makes a budget or changes it, if its version is still `version` (0: there is none, or it was removed);
    /// and writes down who did. The version of `row` does not count.
    pub async fn save_budget(
        &self,
        row: &BudgetRow,
        version: i64,
        event: &AuditRow,
    ) -> Result<BudgetRow, StoreError> {
        const SQL: &str = "
            INSERT INTO budgets (
                id, team, scope, span, money, tokens, per_thousand, at_least_requests, mode, version,
                set_by, created_at, changed_at, counted_from
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11, $11, $13)
            ON CONFLICT (id) DO UPDATE SET
                scope = excluded.scope, span = excluded.span, money = excluded.money,
                tokens = excluded.tokens, per_thousand = excluded.per_thousand,
                at_least_requests = excluded.at_least_requests, mode = excluded.mode,
                version = budgets.version + 1, set_by = excluded.set_by,
                changed_at = excluded.changed_at, counted_from = excluded.counted_from, archived_at = NULL
            WHERE (budgets.archived_at IS NULL AND budgets.version = $12)
                OR (budgets.archived_at IS NOT NULL AND $12 = 0)
            RETURNING *";
        let saved = in_transaction!(self, tx => {
            let saved: Option<BudgetRow> = sqlx::query_as(SQL)
                .bind(&row.id)
                .bind(&row.team)
                .bind(&row.scope)
                .bind(&row.span)
                .bind(row.money)
                .bind(row.tokens)
                .bind(row.per_thousand)
                .bind(row.at_least_requests)
                .bind(&row.mode)
                .bind(&row.set_by)
                .bind(row.changed_at)
                .bind(version)
                .bind(row.counted_from)
                .fetch_optional(&mut *tx)
                .await?;
            let Some(saved) = saved else { return Err(conflict(&row.id)) };
            if version != 0 && saved.version == 1 {
                return Err(conflict(&row.id));
            }
            insert_event!(event, &mut *tx);
            saved
        });
        Ok(saved)
    }

    /// Lets a budget that was removed begin at nothing, before it is made again: what its accounts had counted, and that
    /// people were told of it. What is set aside of them stays so until it goes back, and what is held to be spent by
    /// processes that gave no sign until a moment ago: they may still take it back.
    pub async fn empty_removed_budget(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        const FORGET_DEAD: &str = "
            DELETE FROM budget_grants WHERE budget = $1
                AND spender IN (SELECT id FROM spenders WHERE lapsed AND expires_at < $2)
                AND EXISTS (SELECT 1 FROM budgets WHERE id = $1 AND archived_at IS NOT NULL)";
        const EMPTY: &str = "
            UPDATE budget_accounts SET
                spent = 0, spent_tokens = 0, lost = 0, lost_tokens = 0, requests = 0, overrun = 0,
                overrun_tokens = 0, alerted = 0
            WHERE budget = $1
                AND EXISTS (SELECT 1 FROM budgets WHERE id = $1 AND archived_at IS NOT NULL)";
        const KEEP_SILENT: &str = "
            UPDATE budget_accounts SET
                spent = held.money, lost = held.money, spent_tokens = held.tokens, lost_tokens = held.tokens
            FROM (
                SELECT g.account, g.began_at, CAST(SUM(g.granted) AS BIGINT) AS money,
                    CAST(SUM(g.tokens) AS BIGINT) AS tokens
                FROM budget_grants g JOIN spenders s ON s.id = g.spender
                WHERE g.budget = $1 AND s.lapsed GROUP BY g.account, g.began_at
            ) AS held
            WHERE budget_accounts.budget = $1 AND budget_accounts.account = held.account
                AND budget_accounts.began_at = held.began_at
                AND EXISTS (SELECT 1 FROM budgets WHERE id = $1 AND archived_at IS NOT NULL)";
        const FORGET_TOLD: &str = "
            DELETE FROM budget_alerts WHERE budget = $1 AND told_at IS NOT NULL
                AND EXISTS (SELECT 1 FROM budgets WHERE id = $1 AND archived_at IS NOT NULL)";
        let silent = Timestamp(now.0.saturating_sub(MAY_COME_BACK));
        in_transaction!(self, tx => {
            sqlx::query(FORGET_DEAD).bind(id).bind(silent).execute(&mut *tx).await?;
            sqlx::query(EMPTY).bind(id).execute(&mut *tx).await?;
            sqlx::query(KEEP_SILENT).bind(id).execute(&mut *tx).await?;
            sqlx::query(FORGET_TOLD).bind(id).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// Removes a budget, if its version is still `version`; and writes down who did.
    pub async fn archive_budget(
        &self,
        id: &str,
        version: i64,
        event: &AuditRow,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE budgets SET archived_at = $3, changed_at = $3, version = version + 1
            WHERE id = $1 AND version = $2 AND archived_at IS NULL";
        in_transaction!(self, tx => {
            let done =
                sqlx::query(SQL).bind(id).bind(version).bind(event.at).execute(&mut *tx).await?;
            if done.rows_affected() == 0 {
                return Err(conflict(id));
            }
            insert_event!(event, &mut *tx);
        });
        Ok(())
    }

    /// A budget that was not removed.
    pub async fn find_budget(&self, id: &str) -> Result<Option<BudgetRow>, StoreError> {
        const SQL: &str = "SELECT * FROM budgets WHERE id = $1 AND archived_at IS NULL";
        Ok(with_db!(self, db => sqlx::query_as(SQL).bind(id).fetch_optional(db).await?))
    }

    /// All budgets that were not removed, by name.
    pub async fn list_budgets(&self) -> Result<Vec<BudgetRow>, StoreError> {
        const SQL: &str = "SELECT * FROM budgets WHERE archived_at IS NULL ORDER BY id";
        Ok(with_db!(self, db => sqlx::query_as(SQL).fetch_all(db).await?))
    }

    /// What accounts have used in the span of a filter, by the ledger: those of the calls that have all of `kinds`,
    /// which are names of columns, and are counted apart by them. The most used first.
    pub async fn count_accounts(
        &self,
        kinds: &[&'static str],
        filter: &SpendFilter,
    ) -> Result<Vec<CountedRow>, StoreError> {
        let summed_until = self.find_summed_until().await?;
        let (account, known) = (account_sql(kinds), known_sql(kinds));
        Ok(with_db!(self, db => {
            let mut sql = QueryBuilder::new("SELECT ");
            sql.push(&account).push(COUNTED);
            push_source!(sql, filter, None::<SpendBy>, summed_until);
            sql.push(&known).push(" GROUP BY 1 ORDER BY money DESC, account LIMIT ");
            sql.push_bind(i64::from(filter.limit));
            sql.build_query_as().fetch_all(db).await?
        }))
    }

    /// Lets accounts of a window have used at least so much.
    pub async fn save_counted(
        &self,
        (budget, began_at): (&BudgetRow, Timestamp),
        counted: &[CountedRow],
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO budget_accounts (
                budget, account, began_at, spent, spent_tokens, requests, overrun, overrun_tokens, granted,
                granted_tokens, max_money, max_tokens, alerted, short_at, used_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, $7, $8, 0, 0, $9)
            ON CONFLICT (budget, account, began_at) DO UPDATE SET
                spent = CASE WHEN excluded.spent > budget_accounts.spent
                    THEN excluded.spent ELSE budget_accounts.spent END,
                spent_tokens = CASE WHEN excluded.spent_tokens > budget_accounts.spent_tokens
                    THEN excluded.spent_tokens ELSE budget_accounts.spent_tokens END,
                requests = CASE WHEN excluded.requests > budget_accounts.requests
                    THEN excluded.requests ELSE budget_accounts.requests END,
                used_at = excluded.used_at";
        // Whoever locks several accounts does it in the order of their names.
        let mut counted: Vec<_> = counted.iter().collect();
        counted.sort_by(|a, b| a.account.cmp(&b.account));
        in_transaction!(self, tx => {
            for it in &counted {
                sqlx::query(SQL)
                    .bind(&budget.id)
                    .bind(&it.account)
                    .bind(began_at)
                    .bind(it.money)
                    .bind(it.tokens)
                    .bind(it.requests)
                    .bind(budget.money)
                    .bind(budget.tokens)
                    .bind(budget.changed_at)
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// A number that grows whenever a budget changes.
    pub async fn find_budgets_version(&self) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT CAST(COALESCE(SUM(version), 0) AS BIGINT) FROM budgets";
        Ok(with_db!(self, db => sqlx::query_scalar(SQL).fetch_one(db).await?))
    }
}

const COUNTED: &str = " AS account,
    CAST(SUM(cost) AS BIGINT) AS money,
    CAST(SUM(tokens) AS BIGINT) AS tokens,
    CAST(SUM(CASE WHEN calls > answered_here THEN calls - answered_here ELSE 0 END) AS BIGINT) AS requests";

/// The name of an account: `'team=' || team || ' run=' || run`. Rows have a model as it was sent, accounts in lower case.
fn account_sql(kinds: &[&'static str]) -> String {
    let parts = kinds.iter().enumerate().map(|(place, kind)| {
        let space = if place == 0 { "" } else { " " };
        let name = if *kind == "model" { "LOWER(model)" } else { *kind };
        format!("'{space}{kind}=' || {name}")
    });
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() { "CAST('' AS TEXT)".to_owned() } else { parts.join(" || ") }
}

/// Calls that are of all of them.
fn known_sql(kinds: &[&'static str]) -> String {
    let parts: Vec<_> = kinds.iter().map(|it| format!("{it} <> ''")).collect();
    if parts.is_empty() { String::new() } else { format!(" WHERE {}", parts.join(" AND ")) }
}

fn conflict(id: &str) -> StoreError {
    StoreError::Conflict { what: format!("budget {id}") }
}

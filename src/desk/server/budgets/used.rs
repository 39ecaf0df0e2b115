//! What is used of a budget, and what that comes to when its window ends.

use crate::desk::server::money::cents;
use crate::desk::server::outlook::period::Span;
use crate::desk::server::outlook::{Outlook, POINTS_MAX, complete, float, outlook};
use crate::gateway::budget::Budget;
use crate::gateway::budget::scope::Subject;
use crate::gateway::ledger::definition;
use crate::http::{App, Problem};
use crate::model::{Timestamp, UsdNanos};
use crate::store::spend::accounts::AccountRow;
use crate::store::spend::budgets::BudgetRow;
use crate::store::spend::sums::SpendFilter;

/// Accounts of a budget that are shown.
pub(super) const ACCOUNTS_MAX: u32 = 500;
/// Accounts of a budget of which is told what they come to: the most used.
const PROSPECTS_MAX: usize = 20;

/// What is used of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Of which.
    pub row: AccountRow,
    /// When it begins anew.
    pub ends_at: Option<Timestamp>,
    /// The limit of money as it is now.
    pub limit: Option<UsdNanos>,
    /// How much of its limits is spent.
    pub percent: u8,
    /// What it comes to; `None` when too little is known, or nobody has looked.
    pub prospect: Option<Prospect>,
}

/// What an account comes to when its window ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prospect {
    /// Money, where that is limited.
    pub money: Option<UsdNanos>,
    /// Tokens, where they are limited.
    pub tokens: Option<i64>,
    /// When it is used up, if that is before.
    pub used_up_at: Option<Timestamp>,
}

/// What is used of a budget in its present windows, the most used accounts first.
pub async fn usage(app: &App, row: &BudgetRow) -> Result<Vec<Used>, Problem> {
    let accounts = app.store.list_accounts(&row.id, ACCOUNTS_MAX).await?;
    let budget = definition::read(row).map_err(|it| Problem::internal(&Unreadable(it)))?;
    let mut used = used(&budget, accounts, app.now());
    for it in used.iter_mut().take(PROSPECTS_MAX) {
        it.prospect = prospect(app, &budget, &it.row).await?;
    }
    Ok(used)
}

/// What is used of the account that calls of a subject go to, in its present window; `None` when that is nothing, or the
/// budget is not for them.
pub async fn used_by(
    app: &App,
    budget: &Budget,
    subject: &Subject,
) -> Result<Option<Used>, Problem> {
    let Some(account) = budget.scope.account_of(subject) else { return Ok(None) };
    let accounts = app.store.list_accounts(&budget.id, ACCOUNTS_MAX).await?;
    Ok(used(budget, accounts, app.now()).into_iter().find(|it| it.row.account == account))
}

/// The accounts of the present window, of the scope as it is now.
#[must_use]
pub fn used(budget: &Budget, accounts: Vec<AccountRow>, now: Timestamp) -> Vec<Used> {
    let began_at = budget.window.start(now);
    let is_present =
        |it: &AccountRow| it.began_at == began_at && budget.scope.has_account(&it.account);
    let present = accounts.into_iter().filter(is_present);
    let used = present.map(|row| {
        let requests = u64::try_from(row.requests).unwrap_or_default();
        let limit = budget.limit.money_after(requests);
        let percent = row.spent().percent_of(limit, budget.limit.tokens);
        Used { ends_at: budget.window.end(began_at), limit, percent, row, prospect: None }
    });
    used.collect()
}

/// What an account comes to, by what calls like its own cost before; `None` when too little is known, and for
/// what never ends. A ceiling for a thousand requests grows with them, and is not looked at.
pub(super) async fn prospect(
    app: &App,
    budget: &Budget,
    row: &AccountRow,
) -> Result<Option<Prospect>, Problem> {
    let now = app.now();
    let Some(span) = Span::of_window(budget.window, now) else { return Ok(None) };
    let (_, kept) = span.habit();
    let past = Timestamp(span.step.start(now).0 - kept * span.step.milliseconds());
    let filter = SpendFilter { from: past, to: span.to, ..filter_of_account(&row.account) };
    let points = app.store.list_spend_points(span.step, None, &filter).await?;
    let told = |limit: Option<i64>, spent: i64, spans: Vec<f64>| {
        outlook((span, now), &spans, (float(spent), Some(float(limit?))))
    };
    let limit = budget.limit.money.filter(|_| budget.limit.per_thousand.is_none());
    let costs = complete(span, (&points, now), |it| it.cost.0);
    let money = told(limit.map(|it| it.0), row.spent.0, costs);
    let counts = complete(span, (&points, now), |it| it.tokens);
    let tokens = told(budget.limit.tokens, row.spent_tokens, counts);
    Ok(read(money.as_ref(), tokens.as_ref()))
}

fn read(money: Option<&Outlook>, tokens: Option<&Outlook>) -> Option<Prospect> {
    let ends = [money, tokens].into_iter().flatten().filter_map(|it| it.used_up_at);
    let used_up_at = ends.min();
    (money.is_some() || tokens.is_some()).then(|| Prospect {
        money: money.map(|it| cents(it.forecast.total)),
        tokens: tokens.map(|it| whole(it.forecast.total)),
        used_up_at,
    })
}

/// An estimate of tokens, with three digits that count.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and is an estimate")]
fn whole(tokens: f64) -> i64 {
    let tokens = tokens.max(0.0).round() as i64;
    let mut unit = 1;
    while tokens / unit >= 1000 {
        unit *= 10;
    }
    tokens.saturating_add(unit / 2) / unit * unit
}

/// What the account of a budget is of, as a filter: `team=core run=01k…`.
pub(super) fn filter_of_account(account: &str) -> SpendFilter {
    let mut filter = SpendFilter { limit: POINTS_MAX, ..SpendFilter::default() };
    for (kind, name) in account.split(' ').filter_map(|it| it.split_once('=')) {
        let name = name.to_owned();
        match kind {
            "organisation" => filter.organisation = name,
            "team" => filter.teams = Some(vec![name]),
            "project" => filter.project = name,
            "pipeline" => filter.pipeline = name,
            "run" => filter.run = name,
            "stage" => filter.stage = name,
            "endpoint" => filter.endpoint = name,
            "model" => filter.model_in_any_case = name.to_ascii_lowercase(),
            _ => {}
        }
    }
    filter
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(pub(super) String);

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn an_estimate_of_tokens_has_three_digits() {
        let told = [0.4, 999.0, 82_801_575.0, 1e30].map(whole);
        assert_eq!(told, [0, 999, 82_800_000, 9_220_000_000_000_000_000]);
    }
}

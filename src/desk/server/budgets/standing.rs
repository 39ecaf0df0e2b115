//! How budgets stand that somebody may know of: what is used, what it comes to, and when it is used up.

use super::{ACCOUNTS_MAX, Used, used};
use crate::auth::Verdict;
use crate::desk::server::spend::period::Span;
use crate::desk::server::spend::trend::{Outlook, complete, filter_of_account, float, outlook};
use crate::desk::server::spend::view::cents;
use crate::gateway::budget::scope::Kind;
use crate::gateway::budget::{Budget, Mode};
use crate::gateway::ledger::definition;
use crate::http::{App, Problem, Visitor};
use crate::model::{Role, Timestamp, UsdNanos};
use crate::store::access::teams::TeamRow;
use crate::store::spend::accounts::AccountRow;
use crate::store::spend::budgets::BudgetRow;
use crate::store::spend::sums::SpendFilter;

/// Budgets of which is told what they come to, at most: the most used.
pub const FORESEEN_MAX: usize = 20;

/// How one budget stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The budget.
    pub row: BudgetRow,
    /// What is used of it, the most used account first.
    pub used: Vec<Used>,
    /// Whether the caller may change it.
    pub may_change: bool,
    /// Whether it was looked what it comes to.
    pub is_foreseen: bool,
}

impl Standing {
    /// How much is spent of its most used account.
    #[must_use]
    pub fn percent(&self) -> u8 {
        self.used.first().map_or(0, |it| it.percent)
    }
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

/// Teams of which the caller may see budgets, and whether they may set those.
pub async fn teams(app: &App, visitor: &Visitor) -> Result<Vec<(TeamRow, bool)>, Problem> {
    let teams = crate::desk::teams::list(app, visitor, Role::Viewer).await?;
    let may = |it: &TeamRow| visitor.0.judge(&it.id, Role::Admin) == Verdict::Allowed;
    Ok(teams.into_iter().map(|it| (may(&it), it)).map(|(may, it)| (it, may)).collect())
}

/// All budgets that the caller may know of, or only those of a team; the most used first. Of so many of them is
/// told what they come to.
pub async fn list(
    app: &App,
    visitor: &Visitor,
    (team, foreseen): (Option<&str>, usize),
) -> Result<Vec<Standing>, Problem> {
    let (is_owner, teams) = (visitor.0.may_own(), teams(app, visitor).await?);
    let mut standings = Vec::new();
    for row in app.store.list_budgets().await? {
        let own = teams.iter().find(|it| it.0.name == row.team);
        let may_change = match own {
            Some((_, may)) => *may,
            // The installation's, and those of teams that are no more.
            None if is_owner => true,
            None => continue,
        };
        if team.is_some_and(|it| it != row.team) {
            continue;
        }
        let accounts = app.store.list_accounts(&row.id, ACCOUNTS_MAX).await?;
        let budget = definition::read(&row).map_err(|it| Problem::internal(&super::Unreadable(it)));
        let used = used(&budget?, accounts, app.now());
        standings.push(Standing { row, used, may_change, is_foreseen: false });
    }
    standings.sort_by_key(|it| std::cmp::Reverse(it.percent()));
    for it in standings.iter_mut().take(foreseen.min(FORESEEN_MAX)) {
        look_ahead(app, it).await?;
    }
    Ok(standings)
}

/// Budgets of the installation that hold calls of the caller's teams, or of one, and that [`list`] leaves out.
pub async fn count_unseen(
    app: &App,
    visitor: &Visitor,
    team: Option<&str>,
) -> Result<usize, Problem> {
    if visitor.0.may_own() && team.is_none() {
        return Ok(0);
    }
    let teams = teams(app, visitor).await?.into_iter().map(|it| it.0.name);
    let teams: Vec<_> = teams.filter(|it| team.is_none_or(|team| team == it)).collect();
    let rows = app.store.list_budgets().await?;
    Ok(rows.iter().filter(|it| holds_some_of(it, &teams)).count())
}

/// Whether a budget of the installation refuses calls of one of these teams.
fn holds_some_of(row: &BudgetRow, teams: &[String]) -> bool {
    let Ok(budget) = definition::read(row) else { return false };
    let is_meant = |kind: Kind, is_of: &dyn Fn(&str, &str) -> bool| {
        let wanted = budget.scope.get(kind).filter(|it| *it != "*");
        wanted.is_none_or(|it| teams.iter().any(|team| is_of(it, team)))
    };
    row.team.is_empty()
        && budget.mode == Mode::Hard
        && !teams.is_empty()
        && is_meant(Kind::Team, &|wanted, team| wanted == team)
        && is_meant(Kind::Project, &|wanted, team| wanted.split('/').next() == Some(team))
}

async fn look_ahead(app: &App, standing: &mut Standing) -> Result<(), Problem> {
    standing.is_foreseen = true;
    let Some(most) = standing.used.first_mut() else { return Ok(()) };
    if let Ok(budget) = definition::read(&standing.row) {
        most.prospect = prospect(app, &budget, &most.row).await?;
    }
    Ok(())
}

/// What an account comes to, by what calls like its own cost before; `None` when too little is known, and for
/// what never ends. A ceiling for a thousand requests grows with them, and is not looked at.
pub async fn prospect(
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

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn an_estimate_of_tokens_has_three_digits() {
        let told = [0.4, 999.0, 82_801_575.0, 1e30].map(whole);
        assert_eq!(told, [0, 999, 82_800_000, 9_220_000_000_000_000_000]);
    }
}

//! How budgets stand that somebody may know of: what is used, what it comes to, and when it is used up.

use super::used::{ACCOUNTS_MAX, Unreadable, Used, prospect, used};
use crate::auth::Verdict;
use crate::gateway::budget::Mode;
use crate::gateway::budget::scope::Kind;
use crate::gateway::ledger::definition;
use crate::http::{App, Problem, Visitor};
use crate::model::Role;
use crate::store::access::teams::TeamRow;
use crate::store::spend::budgets::BudgetRow;

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
        let budget = definition::read(&row).map_err(|it| Problem::internal(&Unreadable(it)));
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

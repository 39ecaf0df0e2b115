//! What the present window of a budget has used, from the ledger, when its window or its scope is changed.

use super::used::filter_of_account;
use super::view::FromLedgerView;
use crate::desk::server::money::usd;
use crate::gateway::budget::Budget;
use crate::gateway::budget::scope::Kind;
use crate::gateway::ledger::definition;
use crate::model::{Amount, Timestamp};
use crate::store::spend::budgets::{BudgetRow, CountedRow};
use crate::store::spend::sums::SpendFilter;
use crate::store::{Store, StoreError};

/// Accounts that are counted: the most used.
const ACCOUNTS_MAX: u32 = 1_000;

/// What is taken from the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recount {
    /// When the present window began.
    pub began_at: Timestamp,
    /// What its accounts have used.
    pub accounts: Vec<CountedRow>,
}

impl Recount {
    /// All accounts together, as the audit log and clients have it.
    #[must_use]
    pub fn view(&self) -> FromLedgerView {
        let amounts = self.accounts.iter().map(|it| Amount { money: it.money, tokens: it.tokens });
        let sum = amounts.fold(Amount::default(), Amount::plus);
        FromLedgerView { from: self.began_at.0, usd: usd(sum.money), tokens: sum.tokens }
    }
}

/// Looks up what a budget has used that takes the place of `present`; nothing where it counts the same calls in the
/// same windows.
pub async fn recount(
    store: &Store,
    (budget, present): (&Budget, Option<&BudgetRow>),
    now: Timestamp,
) -> Result<Option<Recount>, StoreError> {
    let Some(present) = present else { return Ok(None) };
    let is_same = definition::read(present)
        .is_ok_and(|it| it.window == budget.window && it.scope == budget.scope);
    if is_same {
        return Ok(None);
    }
    let (mut kinds, mut wanted) = (Vec::new(), Vec::new());
    for kind in Kind::ALL {
        let Some(name) = budget.scope.get(kind) else { continue };
        kinds.push(kind.as_str());
        if name != "*" {
            wanted.push(format!("{}={name}", kind.as_str()));
        }
    }
    let began_at = budget.window.start(now);
    let filter = SpendFilter {
        from: began_at,
        to: Timestamp(now.0.saturating_add(1)),
        limit: ACCOUNTS_MAX,
        ..filter_of_account(&wanted.join(" "))
    };
    let accounts = store.count_accounts(&kinds, &filter).await?;
    Ok(Some(Recount { began_at, accounts }))
}

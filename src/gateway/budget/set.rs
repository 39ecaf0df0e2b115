//! Budgets by name, and which of them a call falls under.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Budget;
use super::scope::{Kind, Subject};
use crate::model::Timestamp;

/// An account: of a budget, for one value of each of its parts that is counted apart, in one window.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    /// The budget.
    pub budget: Arc<str>,
    /// Such as `team=core run=7`.
    pub values: Arc<str>,
    /// When its window began.
    pub window: Timestamp,
}

/// Budgets by name.
#[derive(Debug, Default)]
pub struct BudgetSet {
    all: BTreeMap<Arc<str>, Budget>,
    /// Those that are for one run: there are as many as runs, and a call falls under few of them.
    by_run: HashMap<String, Vec<Arc<str>>>,
    others: Vec<Arc<str>>,
}

impl BudgetSet {
    /// The budget of this name.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Budget> {
        self.all.get(id)
    }

    /// Whether an account is of a budget that is for one run: such a budget is taken out with its run.
    #[must_use]
    pub fn is_of_one_run(&self, key: &AccountKey) -> bool {
        self.get(&key.budget).is_some_and(|it| run_of(it).is_some())
    }

    /// Adds a budget, in place of the one of its name.
    pub fn insert(&mut self, budget: Budget) {
        self.remove(&budget.id);
        let id: Arc<str> = budget.id.as_str().into();
        match run_of(&budget) {
            Some(run) => self.by_run.entry(run.to_owned()).or_default().push(id.clone()),
            None => self.others.push(id.clone()),
        }
        self.all.insert(id, budget);
    }

    /// Takes a budget out.
    pub fn remove(&mut self, id: &str) {
        let Some(budget) = self.all.remove(id) else { return };
        let Some(run) = run_of(&budget) else {
            self.others.retain(|it| &**it != id);
            return;
        };
        if let Some(of_run) = self.by_run.get_mut(run) {
            of_run.retain(|it| &**it != id);
            if of_run.is_empty() {
                self.by_run.remove(run);
            }
        }
    }

    /// The accounts that a call falls under, in their order.
    #[must_use]
    pub fn keys(&self, subject: &Subject, now: Timestamp) -> Vec<AccountKey> {
        let of_run = subject.get(Kind::Run).and_then(|it| self.by_run.get(it));
        let budgets = self.others.iter().chain(of_run.into_iter().flatten());
        let keys = budgets.filter_map(|id| {
            let budget = self.all.get(id)?;
            let values = budget.scope.account_of(subject)?.into();
            Some(AccountKey { budget: id.clone(), values, window: budget.window.start(now) })
        });
        let mut keys: Vec<_> = keys.collect();
        keys.sort_unstable();
        keys
    }

    /// Whether the window of an account has ended; an account of a budget that is gone has.
    #[must_use]
    pub fn is_over(&self, key: &AccountKey, now: Timestamp) -> bool {
        let Some(budget) = self.get(&key.budget) else { return true };
        budget.window.end(key.window).is_some_and(|it| it <= now)
    }
}

/// The one run that a budget is for.
fn run_of(budget: &Budget) -> Option<&str> {
    budget.scope.get(Kind::Run).filter(|it| *it != "*")
}

impl FromIterator<Budget> for BudgetSet {
    fn from_iter<T: IntoIterator<Item = Budget>>(budgets: T) -> Self {
        let mut all = Self::default();
        budgets.into_iter().for_each(|it| all.insert(it));
        all
    }
}

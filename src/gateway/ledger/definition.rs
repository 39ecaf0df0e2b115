//! Budgets as the store has them. Pure.

use crate::gateway::budget::account::Limit;
use crate::gateway::budget::scope::{Scope, Window};
use crate::gateway::budget::{Budget, Mode};
use crate::store::spend::budgets::BudgetRow;

/// Reads a budget of the store. What this version cannot read is not left out in silence.
pub fn read(row: &BudgetRow) -> Result<Budget, String> {
    let wrong = |what: &str| format!("the budget `{}` has a {what} that cannot be read", row.id);
    let scope: Scope = serde_json::from_str(&row.scope).map_err(|_| wrong("scope"))?;
    let window: Window = word(&row.span).ok_or_else(|| wrong("window"))?;
    let mode: Mode = word(&row.mode).ok_or_else(|| wrong("mode"))?;
    let limit = Limit {
        money: row.money,
        tokens: row.tokens,
        per_thousand: row.per_thousand,
        at_least_requests: u32::try_from(row.at_least_requests).unwrap_or(u32::MAX),
    };
    Ok(Budget { id: row.id.clone(), scope, window, limit, mode })
}

/// A budget as a row, without who made it and when.
#[must_use]
pub fn row(budget: &Budget) -> BudgetRow {
    BudgetRow {
        id: budget.id.clone(),
        scope: serde_json::to_string(&budget.scope).unwrap_or_default(),
        span: said(budget.window),
        money: budget.limit.money,
        tokens: budget.limit.tokens,
        per_thousand: budget.limit.per_thousand,
        at_least_requests: i64::from(budget.limit.at_least_requests),
        mode: said(budget.mode),
        ..BudgetRow::default()
    }
}

fn word<T: serde::de::DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(word.into()).ok()
}

fn said(word: impl serde::Serialize) -> String {
    let value = serde_json::to_value(word).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::budget::scope::Kind;
    use crate::model::UsdNanos;

    #[test]
    fn a_budget_comes_back_from_its_row() {
        let limit = Limit {
            money: Some(UsdNanos(5)),
            tokens: None,
            per_thousand: Some(UsdNanos(9)),
            at_least_requests: 7,
        };
        let scope = Scope::default().with(Kind::Team, "core").with(Kind::Run, "*");
        let id = "core/month".to_owned();
        let budget = Budget { id, scope, window: Window::Month, limit, mode: Mode::Soft };
        let row = row(&budget);
        assert_eq!(read(&row), Ok(budget));
        assert_eq!((row.span.as_str(), row.mode.as_str()), ("month", "soft"));
        let newer = BudgetRow { span: "year".to_owned(), ..row };
        assert!(read(&newer).unwrap_err().contains("window"));
    }
}

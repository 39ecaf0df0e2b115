//! Budgets of the installation and of teams: read, set, removed; and what is used of them.

pub mod view;
pub mod typed;
pub mod standing;
pub mod recount;
mod used;

use std::collections::BTreeMap;

use serde_json::json;

use crate::desk::teams;
use crate::gateway::budget::Budget;
use crate::gateway::budget::scope::{Kind, odd_name};
use crate::gateway::ledger::definition;
use crate::http::{App, Problem, Visitor};
use crate::model::access::is_name;
use crate::model::{ProjectId, Role, TeamId, Timestamp};
use crate::store::access::teams::TeamRow;
use crate::store::audit::AuditRow;
use crate::store::spend::budgets::BudgetRow;
use crate::store::{Store, StoreError};
use recount::Recount;
pub use used::{Prospect, Used, usage, used, used_by};

/// Bytes of a name in a scope.
const PART_BYTES_MAX: usize = 200;

/// Whose a budget is, where the caller may do what they want with it.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Name of the team, or empty: the installation's.
    team: String,
    id: TeamId,
}

impl Holder {
    /// The installation, for its owners.
    pub fn installation(visitor: &Visitor) -> Result<Self, Problem> {
        visitor.require_owner()?;
        Ok(Self { team: String::new(), id: TeamId(String::new()) })
    }

    /// A team, for who may do there what takes `needed`.
    pub async fn team(
        app: &App,
        visitor: &Visitor,
        (name, needed): (&str, Role),
    ) -> Result<Self, Problem> {
        let team = teams::find(app, visitor, name, needed).await?;
        Ok(Self { team: team.name, id: team.id })
    }

    /// The installation or a team, for who is at its machine.
    #[must_use]
    pub fn at_the_machine(team: Option<TeamRow>) -> Self {
        let (name, id) = team.map(|it| (it.name, it.id.0)).unwrap_or_default();
        Self { team: name, id: TeamId(id) }
    }

    /// The id of its budget of this name.
    #[must_use]
    pub fn id_of(&self, name: &str) -> String {
        if self.team.is_empty() { name.to_owned() } else { format!("{}/{name}", self.team) }
    }
}

/// A budget to set. What is empty or `None` is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Which calls: names, or `*` for each apart, by what they are of.
    pub scope: BTreeMap<String, String>,
    /// `hour`, `day`, `month` or `whole`.
    pub window: String,
    /// Dollars in a window.
    pub usd: Option<String>,
    /// Tokens in a window.
    pub tokens: Option<i64>,
    /// Dollars for a thousand requests.
    pub usd_per_thousand_requests: Option<String>,
    /// Requests that the ceiling above takes for granted at the start of a window.
    pub at_least_requests: Option<u32>,
    /// `hard` or `soft`.
    pub mode: String,
}

/// Budgets by name: a team's, or those of the installation and of all teams.
pub async fn list(app: &App, holder: &Holder) -> Result<Vec<BudgetRow>, Problem> {
    let mut rows = app.store.list_budgets().await?;
    rows.retain(|it| holder.team.is_empty() || it.team == holder.team);
    Ok(rows)
}

/// One budget.
pub async fn find(app: &App, holder: &Holder, name: &str) -> Result<BudgetRow, Problem> {
    let found = app.store.find_budget(&holder.id_of(name)).await?;
    let found = found.filter(|it| it.team == holder.team);
    found.ok_or_else(|| Problem::not_found("this budget"))
}

/// The one that is there, if any.
pub async fn find_present(
    app: &App,
    holder: &Holder,
    name: &str,
) -> Result<Option<BudgetRow>, Problem> {
    Ok(app.store.find_budget(&holder.id_of(name)).await?)
}

/// A budget that was set.
#[derive(Debug, Clone)]
pub struct Saved {
    /// As it is stored.
    pub row: BudgetRow,
    /// What was taken from the ledger, where its window or scope was changed.
    pub recount: Option<Recount>,
}

/// Sets a budget, in place of what is `present`.
pub async fn save(
    app: &App,
    visitor: &Visitor,
    holder: &Holder,
    (name, wish, present): (&str, Wish, Option<&BudgetRow>),
) -> Result<Saved, Problem> {
    let budget = read(holder, name, wish).map_err(Problem::bad_request)?;
    if let Some(missing) = missing_project(&app.store, &budget).await? {
        return Err(Problem::bad_request(missing));
    }
    let by = By::of(app, visitor);
    Ok(put(&app.store, holder, (&budget, present), &by).await?)
}

/// The same for a budget that was read, and by whoever may.
pub async fn put(
    store: &Store,
    holder: &Holder,
    (budget, present): (&Budget, Option<&BudgetRow>),
    by: &By,
) -> Result<Saved, StoreError> {
    let recount = recount::recount(store, (budget, present), by.at).await?;
    let (row, event) = to_save(holder, (budget, present), recount.as_ref(), by);
    if present.is_none() {
        store.empty_removed_budget(&row.id, by.at).await?;
    }
    if let Some(recount) = &recount {
        store.save_counted((&row, recount.began_at), &recount.accounts).await?;
    }
    let row = store.save_budget(&row, present.map_or(0, |it| it.version), &event).await?;
    Ok(Saved { row, recount })
}

/// Removes a budget. What was spent stays in the ledger.
pub async fn delete(
    app: &App,
    visitor: &Visitor,
    holder: &Holder,
    present: &BudgetRow,
) -> Result<(), Problem> {
    let by = By::of(app, visitor);
    let event = event(holder, ("budget.delete", &present.id), &by, removed(present));
    Ok(app.store.archive_budget(&present.id, present.version, &event).await?)
}

/// Reads a budget that somebody wishes for; says what is wrong with it.
pub fn read(holder: &Holder, name: &str, wish: Wish) -> Result<Budget, String> {
    let team = holder.team.as_str();
    if !is_name(name) {
        return Err("a name has 1 to 63 of `a-z`, `0-9`, `-` and `_`".to_owned());
    }
    let mut scope = wish.scope;
    if !team.is_empty() {
        let of = scope.entry("team".to_owned()).or_insert_with(|| team.to_owned());
        if of != team {
            return Err(format!("a budget of the team `{team}` is for its own calls"));
        }
    }
    if let Some(why) = scope.iter().find_map(|(kind, value)| odd_part(kind, value)) {
        return Err(why);
    }
    check_project(&scope)?;
    if wish.usd.is_none() && wish.tokens.is_none() && wish.usd_per_thousand_requests.is_none() {
        return Err("a budget limits `usd`, `tokens` or `usd_per_thousand_requests`".to_owned());
    }
    if wish.tokens.is_some_and(|it| it < 0) {
        return Err("`tokens` is not negative".to_owned());
    }
    let mut budget = json!({ "id": holder.id_of(name), "scope": scope, "window": wish.window, "mode": wish.mode });
    let rest = [
        ("usd", json!(wish.usd)),
        ("tokens", json!(wish.tokens)),
        ("usd_per_thousand_requests", json!(wish.usd_per_thousand_requests)),
        ("at_least_requests", json!(wish.at_least_requests)),
    ];
    if let Some(budget) = budget.as_object_mut() {
        let given = rest.into_iter().filter(|it| !it.1.is_null());
        budget.extend(given.map(|(name, value)| (name.to_owned(), value)));
    }
    serde_json::from_value(budget).map_err(|it| it.to_string())
}

/// What is wrong with a part of a scope.
fn odd_part(kind: &str, value: &str) -> Option<String> {
    if value.is_empty() || value.len() > PART_BYTES_MAX || value.contains(char::is_whitespace) {
        return Some(format!("`{value}` is no {kind}: write its name, or `*` for each apart"));
    }
    odd_name(kind, value)
}

/// A project that no call of the scope belongs to is refused: its name says whose it is.
fn check_project(scope: &BTreeMap<String, String>) -> Result<(), String> {
    let Some(project) = scope.get("project").filter(|it| *it != "*") else { return Ok(()) };
    let team = scope.get("team").map_or("*", String::as_str);
    let example = if team == "*" { "shop" } else { team };
    match project.split_once('/') {
        None => {
            Err(format!("`{project}` is no project: write `team/name`, such as `{example}/web`"))
        }
        Some((of, _)) if team != "*" && of != team => Err(format!(
            "`{project}` is a project of the team `{of}`, and the budget is for calls of `{team}`"
        )),
        Some(_) => Ok(()),
    }
}

/// Says that the project of a scope is none of its team's; a team that is not there may be one of a gateway's file.
pub async fn missing_project(store: &Store, budget: &Budget) -> Result<Option<String>, StoreError> {
    let project = budget.scope.get(Kind::Project).filter(|it| *it != "*");
    let Some((team, name)) = project.and_then(|it| it.split_once('/')) else { return Ok(None) };
    let is_missing = store.find_team(team).await?.is_some()
        && store.find_project_by_name(team, name).await?.is_none();
    Ok(is_missing.then(|| format!("there is no project `{team}/{name}`")))
}

/// Who does something, when, and the id of the entry of the audit log that says so.
#[derive(Debug, Clone)]
pub struct By {
    /// Of the entry.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// Who, as the audit log has it.
    pub actor: String,
    /// From where; empty at the machine.
    pub address: String,
    /// What they showed; empty at the machine.
    pub proof: String,
}

impl By {
    fn of(app: &App, visitor: &Visitor) -> Self {
        let actor = format!("person:{}", visitor.0.login);
        let (address, proof) = visitor.origin();
        Self { id: app.new_id(), at: app.now(), actor, address, proof }
    }
}

/// What the audit log is to say of a budget that is removed: what it was.
#[must_use]
pub fn removed(row: &BudgetRow) -> serde_json::Value {
    definition::read(row).map_or_else(|_| json!({}), |it| json!({ "budget": it }))
}

/// What is stored of a budget that is set, and of who sets it.
fn to_save(
    holder: &Holder,
    (budget, present): (&Budget, Option<&BudgetRow>),
    recount: Option<&Recount>,
    by: &By,
) -> (BudgetRow, AuditRow) {
    let counted_from = recount.map(|it| it.began_at).or(present.map(|it| it.counted_from));
    let row = BudgetRow {
        team: holder.team.clone(),
        set_by: by.actor.clone(),
        changed_at: by.at,
        counted_from: counted_from.unwrap_or(by.at),
        ..definition::row(budget)
    };
    let detail = match recount {
        Some(recount) => json!({ "budget": budget, "from_ledger": recount.view() }),
        None => json!({ "budget": budget }),
    };
    let event = event(holder, ("budget.save", &row.id), by, detail);
    (row, event)
}

/// An entry of the audit log on a budget.
#[must_use]
pub fn event(
    holder: &Holder,
    (action, subject): (&str, &str),
    by: &By,
    mut detail: serde_json::Value,
) -> AuditRow {
    if let Some(fields) = detail.as_object_mut().filter(|_| !by.proof.is_empty()) {
        fields.insert("proof".to_owned(), by.proof.as_str().into());
    }
    AuditRow {
        id: by.id.clone(),
        at: by.at,
        actor: by.actor.clone(),
        address: by.address.clone(),
        action: action.to_owned(),
        team: holder.id.clone(),
        project: ProjectId(String::new()),
        subject: subject.to_owned(),
        detail: detail.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UsdNanos;

    fn holder(team: &str) -> Holder {
        Holder { team: team.to_owned(), id: TeamId(String::new()) }
    }

    fn wish() -> Wish {
        Wish {
            window: "month".to_owned(),
            usd: Some("12.50".to_owned()),
            mode: "hard".to_owned(),
            ..Wish::default()
        }
    }

    #[test]
    fn a_budget_of_a_team_is_for_its_own_calls() {
        let budget = read(&holder("shop"), "month", wish()).unwrap();
        assert_eq!(
            (budget.id.as_str(), budget.limit.money),
            ("shop/month", Some(UsdNanos(12_500_000_000)))
        );
        assert_eq!(serde_json::to_value(&budget.scope).unwrap(), json!({ "team": "shop" }));
        let scope = BTreeMap::from([("team".to_owned(), "other".to_owned())]);
        assert!(read(&holder("shop"), "month", Wish { scope: scope.clone(), ..wish() }).is_err());
        assert_eq!(read(&holder(""), "all", Wish { scope, ..wish() }).unwrap().id, "all");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |wish: Wish| read(&holder(""), "all", wish).unwrap_err();
        assert!(read(&holder(""), "No Name", wish()).unwrap_err().contains("a name has"));
        assert!(said(Wish { window: "year".to_owned(), ..wish() }).contains("year"));
        assert!(said(Wish { mode: "firm".to_owned(), ..wish() }).contains("firm"));
        for odd in ["a lot", "-1", "0e-2000000000", "1e-2147483648", "1e400"] {
            assert!(said(Wish { usd: Some(odd.to_owned()), ..wish() }).contains(odd), "{odd}");
        }
        assert!(said(Wish { usd: None, ..wish() }).contains("limits"));
        let scope = BTreeMap::from([("planet".to_owned(), "mars".to_owned())]);
        assert!(said(Wish { scope, ..wish() }).contains("planet"));
        let scope = BTreeMap::from([("team".to_owned(), "a b".to_owned())]);
        assert!(said(Wish { scope, ..wish() }).contains("a b"));
        let long = "e".repeat(101);
        for (kind, value, why) in [
            ("model", "m-gl*", "a whole name, or `*` alone"),
            ("project", "web", "such as `shop/web`"),
            ("project", "bank/x", "of the team `bank`"),
            ("endpoint", "café", "1 to 100 letters of ASCII"),
            ("endpoint", long.as_str(), "1 to 100 letters of ASCII"),
        ] {
            let scope = BTreeMap::from([(kind.to_owned(), value.to_owned())]);
            let said = read(&holder("shop"), "all", Wish { scope, ..wish() }).unwrap_err();
            assert!(said.contains(why) && said.contains(value), "{said}");
        }
        for value in ["*", "shop/web"] {
            let scope = BTreeMap::from([("project".to_owned(), value.to_owned())]);
            assert!(read(&holder("shop"), "all", Wish { scope, ..wish() }).is_ok(), "{value}");
        }
    }
}

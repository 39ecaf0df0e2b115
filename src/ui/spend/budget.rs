//! One budget: how it stands, and the forms that make, change and remove one.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::bars::{self, Coming, Level};
use crate::desk::server::budgets::standing;
use crate::desk::server::budgets::typed::{Typed, WINDOWS, Wrong};
use crate::desk::server::budgets::{self, Holder};
use crate::http::{App, Path, Problem, ProblemKind, Query, Visitor};
use crate::model::Role;
use crate::store::spend::budgets::BudgetRow;
use crate::ui::form::{Posted, Sent, again, check_seen, mistake, onward};
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

/// Accounts that are shown, the most used.
const ACCOUNTS_MAX: usize = 50;

#[derive(Template)]
#[template(path = "spend/budget.html")]
struct BudgetPage {
    shell: Shell,
    words: Words,
    /// The budget that is there; none for a new one.
    row: Option<BudgetRow>,
    levels: Vec<Level>,
    more: usize,
    may_change: bool,
    form: BudgetForm,
    /// Address of the page.
    path: String,
}

/// A form and what is wrong with it.
#[derive(Default)]
struct BudgetForm {
    typed: Typed,
    wrong: Vec<Wrong>,
    problem: Option<String>,
    /// Names of those whose a new one can be; empty for the installation's.
    holders: Vec<String>,
}

impl BudgetForm {
    fn of(typed: Typed) -> Self {
        Self { typed, ..Self::default() }
    }

    /// What is wrong with a field.
    fn wrong(&self, field: &str) -> Option<&str> {
        self.wrong.iter().find(|it| it.field == field).map(|it| it.message.as_str())
    }

    /// Parts of the scope that can be typed: field, kind and text. A team's is for its own calls anyway.
    fn parts(&self) -> Vec<(&'static str, &'static str, &str)> {
        let all = self.typed.parts().into_iter();
        all.filter(|it| it.0 != "of_team" || self.typed.team.is_empty()).collect()
    }

    /// Whether any of them is typed.
    fn has_parts(&self) -> bool {
        self.parts().iter().any(|it| !it.2.is_empty() || self.wrong(it.0).is_some())
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn windows(&self) -> [(&'static str, &'static str); 4] {
        WINDOWS
    }
}

/// For whom a new one is.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct NewQuery {
    team: String,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct RemoveForm {
    #[serde(default)]
    version: String,
}

pub(super) async fn new(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<NewQuery>,
) -> Result<Response, Problem> {
    let form = BudgetForm::of(Typed::new(query.team.trim()));
    page(&new_page(&app, &visit, form).await?)
}

/// The page of a budget to be made, for who may make one.
async fn new_page(app: &App, visit: &Visit, form: BudgetForm) -> Result<BudgetPage, Problem> {
    let teams = standing::teams(app, &visit.visitor).await?;
    let mut holders: Vec<_> = teams.into_iter().filter(|it| it.1).map(|it| it.0.name).collect();
    if visit.visitor.0.may_own() {
        holders.insert(0, String::new());
    }
    if holders.is_empty() {
        return Err(visit.visitor.forbidden(Role::Admin));
    }
    let mut form = BudgetForm { holders, ..form };
    if !form.holders.contains(&form.typed.team)
        && let Some(first) = form.holders.first()
    {
        form.typed.team.clone_from(first);
    }
    Ok(BudgetPage {
        shell: visit.shell(Section::Spend, "New budget"),
        words: visit.words(),
        row: None,
        levels: Vec::new(),
        more: 0,
        may_change: true,
        form,
        path: "/new-budget".to_owned(),
    })
}

pub(super) async fn create(
    State(app): State<App>,
    Sent(visit, typed): Sent<Typed>,
) -> Result<Response, Problem> {
    let typed = Typed { version: String::new(), ..typed };
    let holder = holder(&app, &visit.visitor, (typed.team.trim(), Role::Admin)).await?;
    let name = typed.name.trim().to_owned();
    let done = match typed.wish() {
        Err(wrong) => Err(BudgetForm { wrong, ..BudgetForm::of(typed) }),
        Ok(_) if budgets::find_present(&app, &holder, &name).await?.is_some() => {
            let message = "there is a budget of this name: choose another, or change that one";
            let wrong = vec![Wrong { field: "name", message: message.to_owned() }];
            Err(BudgetForm { wrong, ..BudgetForm::of(typed) })
        }
        Ok(wish) => match budgets::save(&app, &visit.visitor, &holder, (&name, wish, None)).await {
            Ok(saved) => Ok(saved.row),
            Err(problem) => {
                let problem = Some(mistake(problem)?);
                Err(BudgetForm { problem, ..BudgetForm::of(typed) })
            }
        },
    };
    match done {
        Ok(row) => Ok(onward(&format!("{}?done=created", bars::path(&row)))),
        Err(form) => again(&new_page(&app, &visit, form).await?),
    }
}

/// Whose it is, for who may do there what takes `needed`; the installation's is for owners in any case.
async fn holder(
    app: &App,
    visitor: &Visitor,
    (team, needed): (&str, Role),
) -> Result<Holder, Problem> {
    if team.is_empty() {
        Holder::installation(visitor)
    } else {
        Holder::team(app, visitor, (team, needed)).await
    }
}

/// Whose a budget is, and its name.
type Named = (String, String);

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(budget): Path<String>,
) -> Result<Response, Problem> {
    page(&present_page(&app, &visit, (&(String::new(), budget), None)).await?)
}

pub(super) async fn show_of_team(
    State(app): State<App>,
    visit: Visit,
    Path(named): Path<Named>,
) -> Result<Response, Problem> {
    page(&present_page(&app, &visit, (&named, None)).await?)
}

/// The page of a budget that is there; with a form that somebody has sent, or as it is.
async fn present_page(
    app: &App,
    visit: &Visit,
    ((team, name), form): (&Named, Option<BudgetForm>),
) -> Result<BudgetPage, Problem> {
    let holder = holder(app, &visit.visitor, (team, Role::Viewer)).await?;
    let row = budgets::find(app, &holder, name).await?;
    let may_change = match self::holder(app, &visit.visitor, (team, Role::Admin)).await {
        Err(problem) if problem.kind() == ProblemKind::Forbidden => false,
        found => found.map(|_| true)?,
    };
    let used = budgets::usage(app, &row).await?;
    let levels = used.iter().take(ACCOUNTS_MAX).enumerate();
    let levels = levels.map(|(place, it)| Level::of(&row, it, place < standing::FORESEEN_MAX));
    let mut shell = visit.shell(Section::Spend, format!("Budget {}", row.id));
    let path = bars::path(&row);
    path.clone_into(&mut shell.here);
    Ok(BudgetPage {
        shell,
        words: visit.words(),
        levels: levels.collect(),
        more: used.len().saturating_sub(ACCOUNTS_MAX),
        may_change,
        form: form.unwrap_or_else(|| BudgetForm::of(Typed::of(&row))),
        row: Some(row),
        path,
    })
}

pub(super) async fn save(
    State(app): State<App>,
    Path(budget): Path<String>,
    Sent(visit, typed): Sent<Typed>,
) -> Result<Response, Problem> {
    change(&app, &visit, (&(String::new(), budget), typed)).await
}

pub(super) async fn save_of_team(
    State(app): State<App>,
    Path(named): Path<Named>,
    Sent(visit, typed): Sent<Typed>,
) -> Result<Response, Problem> {
    change(&app, &visit, (&named, typed)).await
}

/// Refuses to take back what somebody else has set since the page was opened, and says what that is.
fn check_unchanged(typed: &Typed, present: &BudgetRow) -> Result<(), Problem> {
    let now = Typed::of(present);
    check_seen((&typed.seen().to_string(), &now.version), &typed.beside(&now))
}

async fn change(
    app: &App,
    visit: &Visit,
    (named, typed): (&Named, Typed),
) -> Result<Response, Problem> {
    let (team, name) = named;
    let holder = holder(app, &visit.visitor, (team, Role::Admin)).await?;
    // Its name and whose it is are those of the address.
    let typed = Typed { name: name.clone(), team: team.clone(), ..typed };
    let present = match budgets::find(app, &holder, name).await {
        Err(problem) if problem.kind() == ProblemKind::NotFound => {
            let what = "This budget is gone: somebody has removed it. What you typed is below; saving makes it anew.";
            let problem = Some(what.to_owned());
            let typed = Typed { version: String::new(), ..typed };
            return again(
                &new_page(app, visit, BudgetForm { problem, ..BudgetForm::of(typed) }).await?,
            );
        }
        found => found?,
    };
    let form = match typed.wish() {
        Err(wrong) => BudgetForm { wrong, ..BudgetForm::of(typed) },
        Ok(wish) => {
            let new = (name.as_str(), wish, Some(&present));
            let saved = match check_unchanged(&typed, &present) {
                Ok(()) => budgets::save(app, &visit.visitor, &holder, new).await,
                Err(problem) => Err(problem),
            };
            match saved {
                Ok(saved) => {
                    return Ok(onward(&format!("{}?done=saved", bars::path(&saved.row))));
                }
                Err(problem) => {
                    let problem = Some(mistake(problem)?);
                    // Who saves again has been told.
                    let typed = Typed { version: present.version.to_string(), ..typed };
                    BudgetForm { problem, ..BudgetForm::of(typed) }
                }
            }
        }
    };
    again(&present_page(app, visit, (named, Some(form))).await?)
}

pub(super) async fn remove(
    State(app): State<App>,
    Path(budget): Path<String>,
    Posted(visitor, form): Posted<RemoveForm>,
) -> Result<Response, Problem> {
    delete(&app, &visitor, (&(String::new(), budget), &form)).await
}

pub(super) async fn remove_of_team(
    State(app): State<App>,
    Path(named): Path<Named>,
    Posted(visitor, form): Posted<RemoveForm>,
) -> Result<Response, Problem> {
    delete(&app, &visitor, (&named, &form)).await
}

async fn delete(
    app: &App,
    visitor: &Visitor,
    ((team, name), form): (&Named, &RemoveForm),
) -> Result<Response, Problem> {
    let holder = holder(app, visitor, (team, Role::Admin)).await?;
    let present = budgets::find(app, &holder, name).await?;
    let seen = form.version.trim().parse().unwrap_or(present.version);
    if seen != present.version {
        return Err(crate::http::changed_since());
    }
    budgets::delete(app, visitor, &holder, &present).await?;
    Ok(onward("/budgets?done=removed"))
}

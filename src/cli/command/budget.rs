//! `trunkline budget`: ceilings for calls to models, of the server on this machine or of one elsewhere.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::json;

use crate::cli::access;
use crate::cli::failure::{Exit, Usage};
use crate::cli::remote::client::ROWS_MAX;
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::desk::server::budgets::view::{BudgetView, FromLedgerView, UsageView};
use crate::desk::server::budgets::{self, By, Holder, Wish};
use crate::gateway::ledger::definition;
use crate::store::StoreError;
use crate::store::access::teams::TeamRow;
use crate::store::spend::budgets::BudgetRow;

/// Accounts that are shown of a budget.
const ACCOUNTS_MAX: u32 = 500;

/// Arguments of `trunkline budget`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the database of the server: the state folder, or `DATABASE_URL`. With `--server` or `TRUNKLINE_SERVER` it
asks that server: owners set budgets of the installation, admins of a team its own.

Examples:
  trunkline budget set month --team shop --usd 200 --window month
  trunkline budget set each-run --usd 2.50 --scope 'run=*'
  trunkline budget set search --team shop --scope endpoint=search --window day --per-thousand 4 --soft
  trunkline budget show month --team shop
  trunkline budget remove month --team shop --server ci.example.org")]
pub struct BudgetArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List budgets: a team's, or those of the installation and of all teams
    List {
        /// Only of this team
        #[arg(long, value_name = "NAME")]
        team: Option<String>,
    },
    /// Show a budget, and what is used of it
    Show(Which),
    /// Set a budget, in place of the one of this name; it holds within two seconds
    Set(SetArgs),
    /// Remove a budget: calls are no longer held to it
    Remove(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Its name
    name: String,
    /// The team whose it is [default: the installation's]
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
One of `--usd`, `--tokens` and `--per-thousand` is needed. A budget of this name is replaced: what is not given is not
limited any more. Where its window or its scope changes, what its present window has used is taken from the ledger and
said (`from_ledger` with `--json`).

Examples:
  trunkline budget set month --team shop --usd 200 --window month
  trunkline budget set each-run --usd 2.50 --scope 'run=*'
  trunkline budget set tokens --scope project=shop/web --scope model=gpt-4.1 --tokens 5000000 --window day
  trunkline budget set search --team shop --scope endpoint=search --window day --per-thousand 4 --soft")]
struct SetArgs {
    #[command(flatten)]
    which: Which,
    /// Dollars in a window
    #[arg(long, value_name = "AMOUNT")]
    usd: Option<String>,
    /// Tokens in a window
    #[arg(long)]
    tokens: Option<i64>,
    /// Dollars for a thousand requests
    #[arg(long, value_name = "AMOUNT")]
    per_thousand: Option<String>,
    /// Requests that `--per-thousand` takes for granted at the start of a window [default: 100]
    #[arg(long, value_name = "NUMBER")]
    at_least_requests: Option<u32>,
    /// After what it begins anew: hour, day, month (UTC), or whole for never
    #[arg(long, default_value = "whole")]
    window: String,
    /// Only these calls: organisation, team, project (as `team/name`), pipeline, run, stage, endpoint or model, and a
    /// name; `*` counts each name apart (repeatable). A model is meant by the name that is sent to its provider, not by
    /// one that a route has for it
    #[arg(long = "scope", value_name = "KIND=NAME", value_parser = part)]
    scope: Vec<(String, String)>,
    /// Tell people, and refuse nothing
    #[arg(long)]
    soft: bool,
}

fn part(text: &str) -> Result<(String, String), Usage> {
    let wrong = || Usage::new("write `KIND=NAME`, such as `run=*` or `endpoint=search`", "");
    let (kind, name) = text.split_once('=').ok_or_else(wrong)?;
    Ok((kind.to_owned(), name.to_owned()))
}

impl Which {
    /// Where the API has it, and what is below.
    fn below<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        [&of(self.team.as_deref())[..], &[self.name.as_str()], rest].concat()
    }
}

/// Where the API has the budgets of a team, or of the installation.
fn of(team: Option<&str>) -> Vec<&str> {
    team.map_or_else(|| vec!["budgets"], |it| vec!["teams", it, "budgets"])
}

impl SetArgs {
    fn mode(&self) -> &'static str {
        if self.soft { "soft" } else { "hard" }
    }

    fn wish(&self) -> Result<Wish, Usage> {
        let mut scope = BTreeMap::new();
        for (kind, name) in &self.scope {
            if let Some(other) = scope.insert(kind.clone(), name.clone()) {
                let message = format!("the scope has `{kind}` twice: `{other}` and `{name}`");
                let help = "a call has one of each kind; set a budget for each, or count each apart with `*`";
                return Err(Usage::new(message, help));
            }
        }
        Ok(Wish {
            scope,
            window: self.window.clone(),
            usd: self.usd.clone(),
            tokens: self.tokens,
            usd_per_thousand_requests: self.per_thousand.clone(),
            at_least_requests: self.at_least_requests,
            mode: self.mode().to_owned(),
        })
    }
}

/// Does what was asked.
pub async fn execute(session: &Session, args: &BudgetArgs) -> anyhow::Result<Exit> {
    if let Some(remote) = Remote::chosen(session)? {
        at_server(session, &remote, &args.action).await?;
    } else {
        let state = access::open(session).await?;
        here(session, &state, &args.action).await?;
    }
    Ok(Exit::Passed)
}

async fn at_server(session: &Session, remote: &Remote, action: &Action) -> anyhow::Result<()> {
    let client = &remote.client;
    match action {
        Action::List { team } => {
            let call = Call::get(&of(team.as_deref()));
            let rows: Vec<BudgetView> = client.list(&call, ROWS_MAX).await?;
            show_all(session, &rows)
        }
        Action::Show(which) => {
            let budget: BudgetView = client.fetch(&Call::get(&which.below(&[]))).await?;
            let used: Vec<UsageView> = client.fetch(&Call::get(&which.below(&["usage"]))).await?;
            show(session, &budget, &used)
        }
        Action::Set(args) => {
            let wish = args.wish()?;
            let body = json!({
                "scope": wish.scope, "window": wish.window, "usd": wish.usd, "tokens": wish.tokens,
                "usd_per_thousand_requests": wish.usd_per_thousand_requests,
                "at_least_requests": wish.at_least_requests, "mode": wish.mode,
            });
            let call = Call::put(&args.which.below(&[])).body(&body);
            tell_set(session, &client.fetch(&call).await?)
        }
        Action::Remove(which) => {
            client.order(&Call::delete(&which.below(&[]))).await?;
            Ok(session.output.told(&format!("`{}` is removed", which.name))?)
        }
    }
}

async fn here(session: &Session, state: &State, action: &Action) -> anyhow::Result<()> {
    match action {
        Action::List { team } => {
            if let Some(name) = team {
                find_team(state, name).await?;
            }
            let mut rows = state.store.list_budgets().await?;
            rows.retain(|it| team.as_ref().is_none_or(|team| it.team == *team));
            let rows: Vec<_> = rows.into_iter().map(BudgetView::from).collect();
            show_all(session, &rows)
        }
        Action::Show(which) => {
            let row = present(state, which).await?;
            let accounts = state.store.list_accounts(&row.id, ACCOUNTS_MAX).await?;
            let budget = definition::read(&row).map_err(anyhow::Error::msg)?;
            let used = budgets::used(&budget, accounts, session.now());
            let used: Vec<_> = used.into_iter().map(UsageView::from).collect();
            show(session, &row.into(), &used)
        }
        Action::Set(args) => set(session, state, args).await,
        Action::Remove(which) => {
            let (holder, row) = (holder(state, which).await?, present(state, which).await?);
            let detail = budgets::removed(&row);
            let event = budgets::event(&holder, ("budget.delete", &row.id), &by(session), detail);
            state.store.archive_budget(&row.id, row.version, &event).await?;
            Ok(session.output.told(&format!("`{}` is removed", which.name))?)
        }
    }
}

async fn set(session: &Session, state: &State, args: &SetArgs) -> anyhow::Result<()> {
    let holder = holder(state, &args.which).await?;
    let wrong = |why: String| Usage::new(why, "`trunkline budget set --help` has examples");
    let budget = budgets::read(&holder, &args.which.name, args.wish()?).map_err(wrong)?;
    if let Some(missing) = budgets::missing_project(&state.store, &budget).await? {
        return Err(Usage::new(missing, "`trunkline project list` shows which there are").into());
    }
    let present = state.store.find_budget(&budget.id).await?;
    match budgets::put(&state.store, &holder, (&budget, present.as_ref()), &by(session)).await {
        Err(StoreError::Conflict { .. }) => {
            let what = "the budget was changed by someone else at this moment";
            Err(Usage::new(what, "look at it with `trunkline budget show`, and try again").into())
        }
        saved => tell_set(session, &saved?.into()),
    }
}

fn by(session: &Session) -> By {
    let actor = format!("machine:{}", session.settings.user);
    let (id, nothing) = (crate::secrets::new_id(session.now()), String::new());
    By { id, at: session.now(), actor, address: nothing.clone(), proof: nothing }
}

async fn holder(state: &State, which: &Which) -> anyhow::Result<Holder> {
    let Some(name) = &which.team else { return Ok(Holder::at_the_machine(None)) };
    Ok(Holder::at_the_machine(Some(find_team(state, name).await?)))
}

async fn find_team(state: &State, name: &str) -> anyhow::Result<TeamRow> {
    let missing = || {
        Usage::new(
            format!("there is no team `{name}`"),
            "`trunkline team list` shows which there are",
        )
    };
    Ok(state.store.find_team(name).await?.ok_or_else(missing)?)
}

async fn present(state: &State, which: &Which) -> anyhow::Result<BudgetRow> {
    let id = holder(state, which).await?.id_of(&which.name);
    let missing = || {
        let help = "`trunkline budget list` shows which there are";
        Usage::new(format!("there is no budget `{id}`"), help)
    };
    Ok(state.store.find_budget(&id).await?.ok_or_else(missing)?)
}

fn tell_set(session: &Session, budget: &BudgetView) -> anyhow::Result<()> {
    if session.output.json {
        return Ok(session.output.json(budget)?);
    }
    session.output.line(&line(budget))?;
    if let Some(used) = &budget.from_ledger {
        session.output.line(&from_ledger_line(budget, used))?;
    }
    Ok(())
}

fn show_all(session: &Session, rows: &[BudgetView]) -> anyhow::Result<()> {
    if session.output.json {
        return Ok(session.output.json(&rows)?);
    }
    if rows.is_empty() {
        let nothing = "there is no budget; `trunkline budget set` changes that";
        return Ok(session.output.line(nothing)?);
    }
    for row in rows {
        session.output.line(&line(row))?;
    }
    Ok(())
}

fn show(session: &Session, budget: &BudgetView, used: &[UsageView]) -> anyhow::Result<()> {
    if session.output.json {
        return Ok(session.output.json(&json!({ "budget": budget, "usage": used }))?);
    }
    session.output.line(&line(budget))?;
    if used.is_empty() {
        session.output.line("  nothing is used of it")?;
    }
    for it in used {
        session.output.line(&usage_line(budget, it))?;
    }
    Ok(())
}

/// `shop/month  200 USD a month of team=shop`
fn line(budget: &BudgetView) -> String {
    let money = budget.usd.as_ref().map(|it| format!("{it} USD"));
    let tokens = budget.tokens.map(|it| format!("{it} tokens"));
    let ceiling = budget.usd_per_thousand_requests.as_ref();
    let ceiling = ceiling.map(|it| format!("{it} USD for 1,000 requests"));
    let limits: Vec<_> = [money, tokens, ceiling].into_iter().flatten().collect();
    let window = match budget.window.as_str() {
        "whole" => String::new(),
        "hour" => " an hour".to_owned(),
        other => format!(" a {other}"),
    };
    let scope: Vec<_> = budget.scope.iter().map(|(kind, name)| format!("{kind}={name}")).collect();
    let scope = if scope.is_empty() { "all calls".to_owned() } else { scope.join(" ") };
    let soft = if budget.mode == "soft" { ", only told of" } else { "" };
    format!("{}  {}{window} of {scope}{soft}", budget.id, limits.join(", "))
}

/// `  used 1.20 USD of the window that began 2026-11-01 00:00 UTC, as the ledger says`
fn from_ledger_line(budget: &BudgetView, used: &FromLedgerView) -> String {
    let tokens = budget.tokens.map(|_| format!(" and {} tokens", used.tokens));
    let began = DateTime::from_timestamp_millis(used.from).filter(|_| used.from > 0);
    let window = began.map_or_else(
        || "so far".to_owned(),
        |it| format!("of the window that began {} UTC", it.format("%Y-%m-%d %H:%M")),
    );
    format!("  used {} USD{} {window}, as the ledger says", used.usd, tokens.unwrap_or_default())
}

fn usage_line(budget: &BudgetView, used: &UsageView) -> String {
    let account = if used.account.is_empty() { "all calls" } else { used.account.as_str() };
    let limit = used.limit_usd.as_ref().map(|it| format!(" of {it}")).unwrap_or_default();
    let tokens = budget.tokens.map(|it| format!(" of {it}")).unwrap_or_default();
    let lost = match used.lost_usd.as_str() {
        // Of an older server, or nothing.
        "" | "0.00" => String::new(),
        lost => format!(" ({lost} of processes that died)"),
    };
    format!(
        "  {account}: {}%: {}{limit} USD{lost}, {}{tokens} tokens, {} requests; {} USD reserved",
        used.percent, used.spent_usd, used.spent_tokens, used.requests, used.reserved_usd
    )
}

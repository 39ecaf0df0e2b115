//! `trunkline subscription`: who is told what became of the runs of a team.

use serde::{Deserialize, Serialize};

use crate::cli::failure::Exit;
use crate::cli::remote::client::ROWS_MAX;
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;

/// Arguments of `trunkline subscription`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline subscription list shop
  trunkline subscription add shop --form slack --event run.failed --event run.recovered < address.txt
  trunkline subscription add shop --form mail --target ops@example.org --event run.failed --project web --branch main
  trunkline subscription test shop 01k2…
  trunkline subscription remove shop 01k2…")]
pub struct SubscriptionArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the subscriptions of a team, and whether something arrives
    List {
        /// Name of the team
        team: String,
    },
    /// Make one; the secret of a webhook is shown this once
    Add(AddArgs),
    /// Send a test
    Test(Which),
    /// Send something again after it was disabled
    Enable(Which),
    /// Send nothing any more, and keep it
    Disable(Which),
    /// Show what was sent, newest first
    Sent(Which),
    /// Remove one
    Remove(Which),
}

/// A subscription.
#[derive(Debug, clap::Args)]
struct Which {
    /// Name of the team
    team: String,
    /// Its id
    id: String,
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// Name of the team
    team: String,
    /// webhook, slack or mail
    #[arg(long, value_name = "FORM")]
    form: String,
    /// Where to [default: asked for, or read from standard input: an address may be a secret]
    #[arg(long, value_name = "ADDRESS")]
    target: Option<String>,
    /// What is told (repeatable): run.failed, run.passed, run.recovered, approval.wanted, subscription.disabled
    #[arg(long = "event", value_name = "EVENT", required = true)]
    events: Vec<String>,
    /// Only of this project of the team
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// Only of branches that match (repeatable)
    #[arg(long = "branch", value_name = "GLOB")]
    branches: Vec<String>,
}

/// A subscription as the server has it.
#[derive(Debug, Serialize, Deserialize)]
struct Subscription {
    id: String,
    form: String,
    target: String,
    events: Vec<String>,
    #[serde(default)]
    branches: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[serde(default)]
    failures: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Something that was sent, or is to be.
#[derive(Debug, Serialize, Deserialize)]
struct Sent {
    id: String,
    event: String,
    run: String,
    status: String,
    attempts: i64,
    error: String,
    created_at: crate::model::Timestamp,
}

/// Does what was asked.
pub async fn execute(session: &Session, args: &SubscriptionArgs) -> anyhow::Result<Exit> {
    let remote = Remote::required(session)?;
    match &args.action {
        Action::List { team } => list(session, &remote, team).await?,
        Action::Add(args) => add(session, &remote, args).await?,
        Action::Test(which) => {
            remote.client.order(&Call::post(&which.below(&["test"]))).await?;
            session.output.told("a test is on its way; `sent` shows what came of it")?;
        }
        Action::Enable(which) => switch(session, &remote, (which, true)).await?,
        Action::Disable(which) => switch(session, &remote, (which, false)).await?,
        Action::Sent(which) => sent(session, &remote, which).await?,
        Action::Remove(which) => {
            remote.client.order(&Call::delete(&which.below(&[]))).await?;
            session.output.told(&format!("`{}` is removed", which.id))?;
        }
    }
    Ok(Exit::Passed)
}

impl Which {
    /// Where the API has it, and what is below.
    fn below<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        [&["teams", self.team.as_str(), "subscriptions", self.id.as_str()], rest].concat()
    }
}

async fn list(session: &Session, remote: &Remote, team: &str) -> anyhow::Result<()> {
    let call = Call::get(&["teams", team, "subscriptions"]);
    let rows: Vec<Subscription> = remote.client.list(&call, ROWS_MAX).await?;
    if session.output.json {
        return Ok(session.output.json(&rows)?);
    }
    if rows.is_empty() {
        return Ok(session
            .output
            .line("nobody is told; `trunkline subscription add` changes that")?);
    }
    for row in &rows {
        session.output.line(&line(row))?;
    }
    Ok(())
}

fn line(row: &Subscription) -> String {
    let mut parts = vec![format!("{} {}", row.form, row.target), row.events.join(", ")];
    if !row.branches.is_empty() {
        parts.push(format!("branches {}", row.branches.join(", ")));
    }
    if row.project.is_some() {
        parts.push("one project".to_owned());
    }
    match (&row.disabled_reason, row.disabled_at) {
        (Some(reason), _) => parts.push(format!("disabled: {reason}")),
        (None, Some(_)) => parts.push("disabled".to_owned()),
        (None, None) if row.failures > 0 => parts.push(format!("{} failed in a row", row.failures)),
        (None, None) => (),
    }
    format!("{}  {}", row.id, parts.join("; "))
}

async fn add(session: &Session, remote: &Remote, args: &AddArgs) -> anyhow::Result<()> {
    let target = match &args.target {
        Some(target) => target.clone(),
        None => crate::cli::access::read_hidden("Address")?,
    };
    let body = serde_json::json!({
        "form": args.form, "target": target, "events": args.events, "project": args.project,
        "branches": args.branches,
    });
    let call = Call::post(&["teams", &args.team, "subscriptions"]).body(&body);
    let made: Subscription = remote.client.fetch(&call).await?;
    if session.output.json {
        return Ok(session.output.json(&made)?);
    }
    session.output.line(&format!("made `{}`", made.id))?;
    if let Some(secret) = &made.secret {
        session.output.line(&format!("secret: {secret}"))?;
    }
    Ok(())
}

async fn switch(
    session: &Session,
    remote: &Remote,
    (which, is_enabled): (&Which, bool),
) -> anyhow::Result<()> {
    let body = serde_json::json!({ "enabled": is_enabled });
    remote.client.order(&Call::patch(&which.below(&[])).body(&body)).await?;
    let what = if is_enabled { "sends again" } else { "sends nothing any more" };
    Ok(session.output.told(&format!("`{}` {what}", which.id))?)
}

async fn sent(session: &Session, remote: &Remote, which: &Which) -> anyhow::Result<()> {
    let call = Call::get(&which.below(&["notifications"]));
    let rows: Vec<Sent> = remote.client.list(&call, ROWS_MAX).await?;
    if session.output.json {
        return Ok(session.output.json(&rows)?);
    }
    for row in &rows {
        let at = session.output.date_time(row.created_at);
        let why = if row.error.is_empty() { String::new() } else { format!(": {}", row.error) };
        session.output.line(&format!("{at}  {}  {}{why}", row.event, row.status))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_a_line() {
        let row = Subscription {
            id: "01k".to_owned(),
            form: "slack".to_owned(),
            target: "hooks.slack.com".to_owned(),
            events: vec!["run.failed".to_owned()],
            branches: vec!["main".to_owned()],
            project: None,
            failures: 2,
            disabled_at: None,
            disabled_reason: None,
            secret: None,
        };
        let wanted = "01k  slack hooks.slack.com; run.failed; branches main; 2 failed in a row";
        assert_eq!(line(&row), wanted);
    }
}

//! `trunkline audit`: who did what on a server.

use serde::{Deserialize, Serialize};

use crate::cli::failure::{Exit, Usage};
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::model::{Milliseconds, Timestamp};

/// Arguments of `trunkline audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Owners of the installation see all of it; admins what concerns a team of theirs, which they name.

Examples:
  trunkline audit --team shop --since 7d
  trunkline audit --action secret. --actor person:ada
  trunkline audit --limit 10000 --json > audit.json")]
pub struct AuditArgs {
    /// Only what concerns this team
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Only what concerns this project (its id)
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Only what this one did: `person:<login>`, `run:<id>`, `system`
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,
    /// Only what was done so: `secret.read`, or `secret.` for all that begin so
    #[arg(long, value_name = "WHAT")]
    action: Option<String>,
    /// Only what was done to this
    #[arg(long, value_name = "WHAT")]
    subject: Option<String>,
    /// Only what is not older: `30m`, `12h`, `7d`
    #[arg(long, value_name = "SPAN", value_parser = span)]
    since: Option<Milliseconds>,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

fn span(text: &str) -> Result<Milliseconds, Usage> {
    let bad = || Usage::new("must be a number with `m`, `h` or `d`", "");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(bad()),
    };
    let number: u32 = number.parse().map_err(|_| bad())?;
    Ok(Milliseconds::from_seconds(u64::from(number) * seconds))
}

/// Something that was done.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    id: String,
    at: Timestamp,
    actor: String,
    address: String,
    action: String,
    team: String,
    project: String,
    subject: String,
    detail: serde_json::Value,
}

/// Shows the log.
pub async fn execute(session: &Session, args: &AuditArgs) -> anyhow::Result<Exit> {
    let remote = Remote::required(session)?;
    let word = |it: &Option<String>| it.clone().unwrap_or_default();
    let since = args.since.map(|it| {
        session.now().0.saturating_sub(i64::try_from(it.0).unwrap_or(i64::MAX)).to_string()
    });
    let call = Call::get(&["audit"])
        .query("team", word(&args.team))
        .query("project", word(&args.project))
        .query("actor", word(&args.actor))
        .query("action", word(&args.action))
        .query("subject", word(&args.subject))
        .query("since", since.unwrap_or_default());
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let entries: Vec<Entry> = remote.client.list(&call, limit).await?;
    if session.output.json {
        session.output.json(&entries)?;
        return Ok(Exit::Passed);
    }
    for it in &entries {
        let at = session.output.date_time(it.at);
        let (actor, action, subject) = (&it.actor, &it.action, &it.subject);
        session.output.line(&format!("{at}  {actor:20}  {action:20}  {subject}"))?;
    }
    if entries.is_empty() {
        session.output.line("nothing of this kind was done")?;
    }
    Ok(Exit::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_unit() {
        assert_eq!(span("7d").unwrap(), Milliseconds(7 * 24 * 3_600_000));
        assert_eq!(span("30m").unwrap(), Milliseconds(1_800_000));
        for wrong in ["", "7", "d", "7w", "-1h", "1½h", "é"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}

//! `trunkline audit`: the audit log of the server on this machine, or of one elsewhere.

use chrono::{DateTime, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::cli::failure::{Exit, Usage};
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::state::{Needed, State};
use crate::http::csv;
use crate::model::{Milliseconds, TeamId, Timestamp};
use crate::store::audit::{AuditFilter, AuditRow};

/// Entries that are read at once.
const PAGE: u32 = 500;

/// Arguments of `trunkline audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the database of the server: the state folder, or `DATABASE_URL`. With `--server` or `TRUNKLINE_SERVER` it
asks that server: owners see all of it, admins what concerns a team of theirs, which they name. Newest first.

Examples:
  trunkline audit --limit 20
  trunkline audit --actor person:ada --action token. --since 2026-11-01
  trunkline audit --format csv --limit 0 > audit.csv    all of it
  trunkline audit --team shop --since 7d --server ci.example.org")]
pub struct AuditArgs {
    /// Only what concerns this team
    #[arg(long, value_name = "NAME")]
    pub team: Option<String>,
    /// Only what this one did: `person:<login>`, `machine:<user>`, `run:<id>`, `nobody`
    #[arg(long)]
    pub actor: Option<String>,
    /// Only what was done: `secret.read`, or `secret.` for all that begin so
    #[arg(long)]
    pub action: Option<String>,
    /// Only what it was done to
    #[arg(long)]
    pub subject: Option<String>,
    /// From this day or moment on (RFC 3339; UTC), or not older than `30m`, `12h`, `7d`
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub since: Option<When>,
    /// Before this day or moment
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub until: Option<When>,
    /// Entries at most; 0 for all
    #[arg(long, default_value_t = 100)]
    pub limit: u64,
    /// How to write them [default: `text`, with `--json`: `jsonl`]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

/// How entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line each, for people.
    Text,
    /// One JSON object a line.
    Jsonl,
    /// A table.
    Csv,
}

/// A moment, or so long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Then.
    At(Timestamp),
    /// So long before now.
    Ago(Milliseconds),
}

impl When {
    /// That moment.
    #[must_use]
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => {
                Timestamp(now.0.saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX)))
            }
        }
    }
}

/// `2026-11-28`, `2026-11-28T15:00:00Z` or `7d`.
pub(super) fn when(text: &str) -> Result<When, Usage> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(When::At(Timestamp(moment.timestamp_millis())));
    }
    if let Some(span) = span(text) {
        return Ok(When::Ago(span));
    }
    let day = text.parse::<NaiveDate>().ok().and_then(|it| it.and_hms_opt(0, 0, 0));
    let day = day.map(|it| When::At(Timestamp(it.and_utc().timestamp_millis())));
    day.ok_or_else(|| Usage::new("write `2026-11-28`, `2026-11-28T15:00:00Z` or `7d`", ""))
}

fn span(text: &str) -> Option<Milliseconds> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    let number: u32 = number.parse().ok()?;
    Some(Milliseconds::from_seconds(u64::from(number) * seconds))
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

impl From<AuditRow> for Entry {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            actor: row.actor,
            address: row.address,
            action: row.action,
            team: row.team.0,
            project: row.project.0,
            subject: row.subject,
            detail: serde_json::from_str(&row.detail).unwrap_or_default(),
        }
    }
}

/// Writes the entries.
pub async fn execute(session: &Session, args: &AuditArgs) -> anyhow::Result<Exit> {
    let usual = if session.output.json { Format::Jsonl } else { Format::Text };
    let format = args.format.unwrap_or(usual);
    if let Some(remote) = Remote::chosen(session)? {
        let entries = of_server(session, &remote, args).await?;
        begin(session, format)?;
        write(session, &entries, format)?;
        return Ok(Exit::Passed);
    }
    let state = State::open_present(&session.settings, Needed::Database).await?;
    let mut filter = filter(session, &state, args).await?;
    begin(session, format)?;
    let mut left = if args.limit == 0 { u64::MAX } else { args.limit };
    while left > 0 {
        filter.limit = PAGE.min(u32::try_from(left).unwrap_or(PAGE));
        let rows = state.store.list_audit_events(&filter).await?;
        let Some(last) = rows.last() else { break };
        filter.cursor.clone_from(&last.id);
        left -= rows.len() as u64;
        let entries: Vec<_> = rows.into_iter().map(Entry::from).collect();
        write(session, &entries, format)?;
    }
    Ok(Exit::Passed)
}

async fn filter(session: &Session, state: &State, args: &AuditArgs) -> anyhow::Result<AuditFilter> {
    let team: Option<TeamId> = match &args.team {
        Some(name) => {
            let missing = || {
                let help = "`trunkline team list` shows which there are";
                Usage::new(format!("there is no team `{name}`"), help)
            };
            Some(state.store.find_team(name).await?.ok_or_else(missing)?.id)
        }
        None => None,
    };
    Ok(AuditFilter {
        team,
        actor: args.actor.clone().unwrap_or_default(),
        action: args.action.clone().unwrap_or_default(),
        subject: args.subject.clone().unwrap_or_default(),
        since: args.since.map(|it| it.before(session.now())),
        until: args.until.map(|it| it.before(session.now())),
        ..AuditFilter::default()
    })
}

async fn of_server(
    session: &Session,
    remote: &Remote,
    args: &AuditArgs,
) -> anyhow::Result<Vec<Entry>> {
    let word = |it: &Option<String>| it.clone().unwrap_or_default();
    let moment =
        |it: Option<When>| it.map(|it| it.before(session.now()).0.to_string()).unwrap_or_default();
    let call = Call::get(&["audit"])
        .query("team", word(&args.team))
        .query("actor", word(&args.actor))
        .query("action", word(&args.action))
        .query("subject", word(&args.subject))
        .query("since", moment(args.since))
        .query("until", moment(args.until));
    let limit = if args.limit == 0 { usize::MAX } else { usize::try_from(args.limit)? };
    Ok(remote.client.list(&call, limit).await?)
}

fn begin(session: &Session, format: Format) -> anyhow::Result<()> {
    if format == Format::Csv {
        session.output.line(csv::line(&csv::AUDIT_COLUMNS).trim_end())?;
    }
    Ok(())
}

fn write(session: &Session, entries: &[Entry], format: Format) -> anyhow::Result<()> {
    for entry in entries {
        session.output.line(&written(session, entry, format)?)?;
    }
    Ok(())
}

fn written(session: &Session, entry: &Entry, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Text => {
            let from = if entry.address.is_empty() {
                String::new()
            } else {
                format!(" from {}", entry.address)
            };
            let at = session.output.date_time(entry.at);
            format!("{at}  {:20}  {}{from}  {}", entry.action, entry.actor, entry.subject)
        }
        Format::Jsonl => serde_json::to_string(entry)?,
        Format::Csv => {
            let (at, detail) = (entry.at.0.to_string(), entry.detail.to_string());
            let fields = [
                entry.id.as_str(),
                at.as_str(),
                &entry.actor,
                &entry.address,
                &entry.action,
                &entry.team,
                &entry.project,
                &entry.subject,
                &detail,
            ];
            csv::line(&fields).trim_end().to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_day_a_time_or_so_long_ago() {
        assert_eq!(when("7d").unwrap(), When::Ago(Milliseconds(7 * 24 * 3_600_000)));
        assert_eq!(when("1970-01-02").unwrap(), When::At(Timestamp(86_400_000)));
        assert_eq!(when("1970-01-01T00:00:01Z").unwrap(), When::At(Timestamp(1000)));
        assert_eq!(When::Ago(Milliseconds(5)).before(Timestamp(7)), Timestamp(2));
        for wrong in ["", "7", "d", "7w", "-1h", "1½h", "é", "yesterday"] {
            assert!(when(wrong).is_err(), "{wrong}");
        }
    }
}

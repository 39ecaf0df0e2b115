//! `trunkline audit`: the audit log of the server on this machine.

use chrono::{DateTime, NaiveDate};

use crate::cli::failure::{Exit, Usage};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::http::csv;
use crate::model::Timestamp;
use crate::store::audit::{AuditFilter, AuditRow};

/// Entries that are read at once.
const PAGE: u32 = 500;

/// Arguments of `trunkline audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the database of the server: the state folder, or `DATABASE_URL`. Newest first.

Examples:
  trunkline audit --limit 20
  trunkline audit --actor person:ada --action token. --since 2026-11-01
  trunkline audit --format csv --limit 0 > audit.csv    all of it")]
pub struct AuditArgs {
    /// Only what this one did: `person:<login>`, `machine:<user>`, `run:<id>`, `nobody`
    #[arg(long)]
    pub actor: Option<String>,
    /// Only what was done: `secret.read`, or `secret.` for all that begin so
    #[arg(long)]
    pub action: Option<String>,
    /// Only what it was done to
    #[arg(long)]
    pub subject: Option<String>,
    /// From this day or moment on (RFC 3339; UTC)
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub since: Option<Timestamp>,
    /// Before this day or moment
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub until: Option<Timestamp>,
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

/// `2026-11-28` or `2026-11-28T15:00:00Z`.
fn moment(text: &str) -> Result<Timestamp, Usage> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(Timestamp(moment.timestamp_millis()));
    }
    let day = text.parse::<NaiveDate>().ok().and_then(|it| it.and_hms_opt(0, 0, 0));
    let day = day.map(|it| Timestamp(it.and_utc().timestamp_millis()));
    day.ok_or_else(|| Usage::new("write `2026-11-28` or `2026-11-28T15:00:00Z`", ""))
}

/// Writes the entries.
pub async fn execute(session: &Session, args: &AuditArgs) -> anyhow::Result<Exit> {
    let state = State::open_server(&session.settings).await?;
    let usual = if session.output.json { Format::Jsonl } else { Format::Text };
    let format = args.format.unwrap_or(usual);
    if format == Format::Csv {
        session.output.line(csv::line(&csv::AUDIT_COLUMNS).trim_end())?;
    }
    let mut left = if args.limit == 0 { u64::MAX } else { args.limit };
    let mut filter = AuditFilter {
        actor: args.actor.clone().unwrap_or_default(),
        action: args.action.clone().unwrap_or_default(),
        subject: args.subject.clone().unwrap_or_default(),
        since: args.since,
        until: args.until,
        ..AuditFilter::default()
    };
    while left > 0 {
        filter.limit = PAGE.min(u32::try_from(left).unwrap_or(PAGE));
        let rows = state.store.list_audit_events(&filter).await?;
        for row in &rows {
            session.output.line(&written(session, row, format))?;
        }
        let Some(last) = rows.last() else { break };
        filter.cursor.clone_from(&last.id);
        left -= rows.len() as u64;
    }
    Ok(Exit::Passed)
}

fn written(session: &Session, row: &AuditRow, format: Format) -> String {
    match format {
        Format::Text => {
            let from = if row.address.is_empty() {
                String::new()
            } else {
                format!(" from {}", row.address)
            };
            let at = session.output.date_time(row.at);
            format!("{at}  {:20}  {}{from}  {}", row.action, row.actor, row.subject)
        }
        Format::Jsonl => serde_json::json!({
            "id": row.id, "at": row.at.0, "actor": row.actor, "address": row.address,
            "action": row.action, "team": row.team, "project": row.project, "subject": row.subject,
            "detail": serde_json::from_str::<serde_json::Value>(&row.detail).unwrap_or_default(),
        })
        .to_string(),
        Format::Csv => {
            let at = row.at.0.to_string();
            let fields = [
                row.id.as_str(),
                at.as_str(),
                &row.actor,
                &row.address,
                &row.action,
                &row.team.0,
                &row.project.0,
                &row.subject,
                &row.detail,
            ];
            csv::line(&fields).trim_end().to_owned()
        }
    }
}

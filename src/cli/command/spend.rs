//! `trunkline spend`: where the money of calls to models went, here or at a server.

use std::path::{Path, PathBuf};

use chrono::DateTime;

use super::audit::{When, when};
use crate::cli::failure::{Exit, Usage};
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::state::{self, Needed, State};
use crate::cli::view::format;
use crate::desk::server::spend::{SpendView, Wanted};
use crate::gateway::ledger::summed::{self, Summed};
use crate::store::spend::sums::{SpendBy, SpendFilter};

/// Sums at most.
const SUMS_MAX: u32 = 1000;
/// Columns of a name at most.
const NAME_COLUMNS: usize = 64;
/// Where else there may be something.
const ELSEWHERE: &str =
    "the ledger of a gateway alone is read with `trunkline spend --ledger FILE`";

/// Arguments of `trunkline spend`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the state folder of this machine, or `DATABASE_URL`. With `--server` or `TRUNKLINE_SERVER` it asks that
server for what you may know of. With `--ledger` it reads the file that `trunkline gateway` writes, and may go on
writing. Without `--since` it is about the last 30 days. By `tag`, calls are summed up for each word of their
`x-trunkline-tags`: one with several counts for each, one without for none. `--json` has long names whole; its
`lost_usd` is the part of `cost_usd` that processes may have spent which died before they could say, and a sum
without a `name` says in `called` what it is of.

Examples:
  trunkline spend                                        by model
  trunkline spend --by run --since 7d
  trunkline spend --by day --team shop --server ci.example.org
  trunkline spend --by stage --project shop/web --since 2026-11-01 --json
  trunkline spend --run 12 --by stage                    what the stages of a run have cost
  trunkline spend --by tag --ledger ledger.jsonl         of a gateway alone")]
pub struct SpendArgs {
    /// What it is summed up for: team, project, pipeline, run, stage, endpoint, model, tag or day
    #[arg(long, value_name = "WHAT", default_value = "model")]
    by: String,
    /// From this day or moment on (RFC 3339; UTC), or not older than `30m`, `12h`, `7d`
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Before this day or moment
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<When>,
    /// Only of this team
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Only of this project
    #[arg(long, value_name = "TEAM/NAME")]
    project: Option<String>,
    /// Only of this pipeline
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Only of this run: its id, its number, or `last`
    #[arg(long)]
    run: Option<String>,
    /// Only of this stage
    #[arg(long)]
    stage: Option<String>,
    /// Only of this endpoint of deployed apps
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Only of this model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only with this tag (`x-trunkline-tags`)
    #[arg(long, value_name = "WORD")]
    tag: Option<String>,
    /// Read this ledger, of a gateway alone: `ledger` of its file. A run is named by its id then
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

impl SpendArgs {
    /// Whether it reads a file of this machine, and no server has a part in it.
    #[must_use]
    pub fn is_about_a_file(&self) -> bool {
        self.ledger.is_some()
    }
}

/// Says it.
pub async fn execute(session: &Session, args: &SpendArgs) -> anyhow::Result<Exit> {
    let sums = match &args.ledger {
        Some(file) => of_file(session, file, args)?,
        None => match Remote::chosen(session)? {
            Some(remote) => of_server(session, &remote, args).await?,
            None => of_machine(session, args).await?,
        },
    };
    if session.output.json {
        let named = |it: SpendView| SpendView { name: whole_name(&args.by, &it), ..it };
        session.output.json(&sums.into_iter().map(named).collect::<Vec<_>>())?;
        return Ok(Exit::Passed);
    }
    if sums.is_empty() {
        let nothing = "no call to a model was made";
        let line = if args.is_about_a_file() {
            nothing.to_owned()
        } else {
            format!("{nothing}; {ELSEWHERE}")
        };
        session.output.line(&line)?;
    }
    for line in lines(&args.by, &sums) {
        session.output.line(&line)?;
    }
    Ok(Exit::Passed)
}

fn lines(by: &str, sums: &[SpendView]) -> Vec<String> {
    let names: Vec<_> = sums.iter().map(|it| name(by, it)).collect();
    let width = names.iter().map(|it| format::width(it)).max().unwrap_or_default();
    names.iter().zip(sums).map(|(name, sum)| line(&format::pad(name, width), sum)).collect()
}

async fn of_machine(session: &Session, args: &SpendArgs) -> anyhow::Result<Vec<SpendView>> {
    if let Some(absent) = state::absent_database(&session.settings) {
        let message = format!("nothing is kept in `{}` yet", absent.display());
        let help = format!(
            "say where the state of a server or of runs is (`--state DIR`, `DATABASE_URL`); {ELSEWHERE}"
        );
        return Err(Usage::new(message, help).into());
    }
    let state = State::open_present(&session.settings, Needed::Database).await?;
    let run = match &args.run {
        Some(reference) => super::find_run(session, &state, reference).await?.id.0,
        None => String::new(),
    };
    let (by, filter) = wanted(session, args, run)?;
    let rows = state.store.sum_spend(by, &filter).await?;
    Ok(rows.into_iter().map(SpendView::from).collect())
}

/// The gateway that writes the file may go on: nothing is locked, and nothing is written.
fn of_file(session: &Session, file: &Path, args: &SpendArgs) -> anyhow::Result<Vec<SpendView>> {
    let path = session.folder.join(file);
    let (by, filter) = wanted(session, args, args.run.clone().unwrap_or_default())?;
    let help = "name the file that `ledger` of the gateway's file names";
    let unreadable = |error: std::io::Error| {
        Usage::new(format!("the ledger `{}` cannot be read: {error}", path.display()), help)
    };
    let summed = summed::of_file(&path, by, &filter).map_err(unreadable)?;
    let Summed { rows, lines, damaged, reasons } = summed;
    if lines == 0 && damaged > 0 {
        let message = format!("`{}` is no ledger: none of its lines can be read", path.display());
        return Err(Usage::new(message, help).into());
    }
    let hint = "what it tells of is in no sum";
    for (line, error) in reasons {
        tracing::error!(line, error, hint, "a line of the ledger cannot be read");
    }
    if damaged > 0 {
        tracing::error!(damaged, lines, "lines of the ledger cannot be read");
    }
    Ok(by.in_order(rows).into_iter().map(SpendView::from).collect())
}

fn wanted(
    session: &Session,
    args: &SpendArgs,
    run: String,
) -> Result<(SpendBy, SpendFilter), Usage> {
    let word = |it: &Option<String>| it.clone().unwrap_or_default();
    let wanted = Wanted {
        by: args.by.clone(),
        from: args.since.map(|it| it.before(session.now())),
        to: args.until.map(|it| it.before(session.now())),
        team: args.team.clone(),
        of: SpendFilter {
            project: word(&args.project),
            pipeline: word(&args.pipeline),
            run,
            stage: word(&args.stage),
            endpoint: word(&args.endpoint),
            model: word(&args.model),
            tag: word(&args.tag),
            limit: SUMS_MAX,
            ..SpendFilter::default()
        },
    };
    let help = "by `tag`, calls are summed up for each word of their `x-trunkline-tags`; `trunkline spend --help` has examples";
    wanted.filter(session.now()).map_err(|why| Usage::new(why, help))
}

async fn of_server(
    session: &Session,
    remote: &Remote,
    args: &SpendArgs,
) -> anyhow::Result<Vec<SpendView>> {
    let run = match &args.run {
        Some(reference) => remote.find_run(reference).await?.id.to_string(),
        None => String::new(),
    };
    let word = |it: &Option<String>| it.clone().unwrap_or_default();
    let moment =
        |it: Option<When>| it.map(|it| it.before(session.now()).0.to_string()).unwrap_or_default();
    let call = Call::get(&["spend"])
        .query("by", &args.by)
        .query("from", moment(args.since))
        .query("to", moment(args.until))
        .query("team", word(&args.team))
        .query("project", word(&args.project))
        .query("pipeline", word(&args.pipeline))
        .query("run", run)
        .query("stage", word(&args.stage))
        .query("endpoint", word(&args.endpoint))
        .query("model", word(&args.model))
        .query("tag", word(&args.tag));
    Ok(remote.client.fetch(&call).await?)
}

fn name(by: &str, sum: &SpendView) -> String {
    let name =
        if sum.name.is_empty() { format!("({})", sum.nameless()) } else { whole_name(by, sum) };
    format::name(&name, NAME_COLUMNS)
}

/// The name, and of a day its date: the API has its first moment.
fn whole_name(by: &str, sum: &SpendView) -> String {
    let day = || DateTime::from_timestamp_millis(sum.name.parse().ok()?);
    match day().filter(|_| by == "day") {
        Some(day) => day.format("%Y-%m-%d").to_string(),
        None => sum.name.clone(),
    }
}

fn line(name: &str, sum: &SpendView) -> String {
    // `calls` has the same, and servers of before have only that.
    let attempts = format::count(u64::try_from(sum.calls).unwrap_or_default(), "attempt");
    let mut line = format!(
        "{name}  {} USD  {attempts}, {} tokens in, {} out",
        sum.cost_usd, sum.input_tokens, sum.output_tokens
    );
    if sum.answered_here > 0 {
        line += &format!("; {} answered here, {} USD avoided", sum.answered_here, sum.avoided_usd);
    }
    if sum.reports > 0 {
        line +=
            &format!("; {} USD of it for {} reports of other use", sum.reported_usd, sum.reports);
    }
    if sum.lost_usd != "0.00" {
        line += &format!("; {} USD of processes that died", sum.lost_usd);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UsdNanos;
    use crate::store::spend::sums::SpendRow;

    fn sum(name: &str, attempts: i64) -> SpendView {
        SpendView::from(SpendRow {
            name: name.to_owned(),
            attempts,
            answered_here: 0,
            input_tokens: 70,
            output_tokens: 30,
            cost: UsdNanos(UsdNanos::PER_USD),
            avoided: UsdNanos(0),
            lost: UsdNanos(0),
            reports: 0,
            reported: UsdNanos(0),
        })
    }

    #[test]
    fn a_name_stays_on_its_line_whatever_is_in_it() {
        let long = format!("long\n\x1b[31m{}", "m".repeat(300));
        let lost = SpendView { lost_usd: "1.00".to_owned(), ..sum("", 0) };
        assert_eq!(name("model", &lost), "(processes that died)");
        assert_eq!(name("model", &sum("", 3)), "(none)");
        let told = lines("model", &[sum("模型", 1), sum(&long, 2)]);
        assert_eq!(
            told[0],
            format!("模型{}  1.00 USD  1 attempt, 70 tokens in, 30 out", " ".repeat(60))
        );
        let cut = format!("long {}…", "m".repeat(58));
        assert_eq!(told[1], format!("{cut}  1.00 USD  2 attempts, 70 tokens in, 30 out"));
        assert_eq!(
            lines("day", &[sum("1793491200000", 1)])[0].split("  ").next(),
            Some("2026-11-01")
        );
        assert_eq!(whole_name("day", &sum("1793491200000", 1)), "2026-11-01");
        assert_eq!(whole_name("day", &lost), "");
        assert_eq!(whole_name("tag", &sum("1793491200000", 1)), "1793491200000");
    }
}

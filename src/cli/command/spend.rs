//! `trunkline spend`: where the money of calls to models went, here or at a server.

use chrono::DateTime;

use super::audit::{When, when};
use crate::cli::failure::{Exit, Usage};
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::state::{Needed, State};
use crate::cli::view::format;
use crate::desk::server::spend::{SpendView, Wanted};
use crate::store::spend::sums::SpendFilter;

/// Sums at most.
const SUMS_MAX: u32 = 1000;
/// Columns of a name at most.
const NAME_COLUMNS: usize = 64;

/// Arguments of `trunkline spend`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the state folder of this machine, or `DATABASE_URL`. With `--server` or `TRUNKLINE_SERVER` it asks that
server for what you may know of. Without `--since` it is about the last 30 days. `--json` has long names whole.

Examples:
  trunkline spend                                        by model
  trunkline spend --by run --since 7d
  trunkline spend --by day --team shop --server ci.example.org
  trunkline spend --by stage --project shop/web --since 2026-11-01 --json")]
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
}

/// Says it.
pub async fn execute(session: &Session, args: &SpendArgs) -> anyhow::Result<Exit> {
    let sums = match Remote::chosen(session)? {
        Some(remote) => of_server(session, &remote, args).await?,
        None => of_machine(session, args).await?,
    };
    if session.output.json {
        session.output.json(&sums)?;
        return Ok(Exit::Passed);
    }
    if sums.is_empty() {
        session.output.line("no call to a model was made")?;
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
    let state = State::open_present(&session.settings, Needed::Database).await?;
    let run = match &args.run {
        Some(reference) => super::find_run(session, &state, reference).await?.id.0,
        None => String::new(),
    };
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
    let wrong = |why: String| Usage::new(why, "`trunkline spend --help` has examples");
    let (by, filter) = wanted.filter(session.now()).map_err(wrong)?;
    let rows = state.store.sum_spend(by, &filter).await?;
    Ok(rows.into_iter().map(SpendView::from).collect())
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
    let day = || DateTime::from_timestamp_millis(sum.name.parse().ok()?);
    let name = match (by, sum.name.is_empty()) {
        (_, true) => format!("({})", sum.nameless()),
        ("day", _) => {
            day().map_or_else(|| sum.name.clone(), |it| it.format("%Y-%m-%d").to_string())
        }
        _ => sum.name.clone(),
    };
    format::name(&name, NAME_COLUMNS)
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
    }
}

//! `trunkline runs`: the runs of this state folder, newest first.

use crate::cli::failure::{Exit, Usage};
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::{format, json, line};
use crate::model::{RunStatus, Timestamp};
use crate::store::runs::{RunFilter, RunRow};

/// Arguments of `trunkline runs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline runs
  trunkline runs --pipeline ci --status failed --limit 5
  trunkline runs --json | jq '.[0].status'")]
pub struct RunsArgs {
    /// Only runs of this pipeline
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,
    /// Only runs that stand so: queued, running, waiting, cancelling, passed, failed, cancelled
    #[arg(long = "status", value_name = "STATUS", value_parser = status)]
    pub statuses: Vec<RunStatus>,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub limit: u32,
}

fn status(word: &str) -> Result<RunStatus, Usage> {
    let known = "queued, running, waiting, cancelling, passed, failed, cancelled";
    RunStatus::parse(word).ok_or_else(|| Usage::new(format!("must be one of {known}"), ""))
}

/// Lists the runs.
pub async fn execute(session: &Session, args: &RunsArgs) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    let filter = RunFilter {
        pipeline: args.pipeline.clone(),
        statuses: args.statuses.clone(),
        limit: args.limit,
        ..RunFilter::default()
    };
    let rows = state.store.list_runs(&filter).await?;
    if session.output.json {
        session.output.json(&rows.iter().map(json::row).collect::<Vec<_>>())?;
    } else if rows.is_empty() {
        session.output.line("no runs; `trunkline run` makes one")?;
    } else {
        session.output.line(&table(&rows, session.now(), session.output).join("\n"))?;
    }
    Ok(Exit::Passed)
}

fn table(rows: &[RunRow], now: Timestamp, output: Output) -> Vec<String> {
    let columns = rows.iter().map(|it| format::width(&it.pipeline)).max().unwrap_or(0).max(8);
    let head = format!(
        "{:>5}  {:10}  {}  {:19}  {:>7}  {}",
        "run",
        "status",
        format::pad("pipeline", columns),
        "created",
        "time",
        "revision"
    );
    let row = |it: &RunRow| {
        let time = it.finished_at.unwrap_or(now).since(it.created_at);
        let short = it.revision.get(..8).unwrap_or(&it.revision);
        let revision = [it.branch.as_str(), short, it.title.as_str()];
        let revision: Vec<_> = revision.into_iter().filter(|it| !it.is_empty()).collect();
        format!(
            "{:>5}  {}  {}  {}  {:>7}  {}",
            format!("#{}", it.number),
            format::pad(&line::status_word(it.status, output.paint), 10),
            format::pad(&it.pipeline, columns),
            output.date_time(it.created_at),
            format::duration(time),
            format::fit(&revision.join(" "), 60),
        )
    };
    std::iter::once(output.paint.dim(&head)).chain(rows.iter().map(row)).collect()
}

//! `trunkline runs`: the runs of a repository or of the whole state folder, newest first.

use crate::cli::drive;
use crate::cli::failure::{Exit, Usage};
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::{format, json, line};
use crate::model::{RunStatus, Timestamp};
use crate::runs::LoadedRun;
use crate::store::runs::{RunFilter, RunRow};

/// Columns of a status.
const STATUS_COLUMNS: usize = line::INTERRUPTED.len();

/// Arguments of `trunkline runs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline runs                         of the repository you stand in; elsewhere all
  trunkline runs --all
  trunkline runs --pipeline ci --status failed --limit 5
  trunkline runs --json | jq '.[0].status'")]
pub struct RunsArgs {
    /// Runs of all repositories
    #[arg(short, long)]
    pub all: bool,
    /// Only runs of this pipeline
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,
    /// Only runs that stand so (repeatable): queued, running, waiting, cancelling, passed, failed, cancelled
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

/// Events that are read at most to say more of the listed runs than their rows do.
const EVENTS_MAX: i64 = 20_000;

/// A run, and what its row does not say.
struct Listed {
    row: RunRow,
    /// Whether nobody goes on with it.
    is_interrupted: bool,
    /// When its stages could start (after a re-run, again).
    started_at: Option<Timestamp>,
    /// Stages about which nobody decided in time.
    undecided: Vec<String>,
}

/// Reads what the rows do not say, as long as that is quick.
async fn look_into(state: &State, rows: Vec<RunRow>) -> anyhow::Result<Vec<Listed>> {
    let mut left = EVENTS_MAX;
    let mut listed = Vec::new();
    for row in rows {
        let is_interrupted = drive::is_interrupted(state, &row.id, row.status);
        left -= row.events;
        let loaded = if left < 0 { None } else { state.runs.load(&row.id).await.ok() };
        let started_at = loaded.as_ref().and_then(|it| it.run.times().0);
        let undecided = loaded.as_ref().map(undecided).unwrap_or_default();
        listed.push(Listed { row, is_interrupted, started_at, undecided });
    }
    Ok(listed)
}

fn undecided(loaded: &LoadedRun) -> Vec<String> {
    let stages = loaded.run.stages().zip(&loaded.run.plan().stages);
    let undecided = stages.filter(|((index, _), _)| loaded.run.is_undecided(*index));
    undecided.map(|(_, planned)| planned.key.clone()).collect()
}

/// Lists the runs.
pub async fn execute(session: &Session, args: &RunsArgs) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    let repository = session.repository().filter(|_| !args.all);
    let filter = RunFilter {
        pipeline: args.pipeline.clone(),
        repository: repository.clone(),
        statuses: args.statuses.clone(),
        limit: args.limit,
        ..RunFilter::default()
    };
    let rows = look_into(&state, state.store.list_runs(&filter).await?).await?;
    if session.output.json {
        let rows = rows.iter().map(|it| json::row(&it.row, it.is_interrupted, &it.undecided));
        session.output.json(&rows.collect::<Vec<_>>())?;
    } else if rows.is_empty() {
        session.output.line(none(args, repository.is_some()))?;
    } else {
        let table = Table { now: session.now(), output: session.output, repository };
        session.output.line(&table.lines(&rows).join("\n"))?;
    }
    Ok(Exit::Passed)
}

fn none(args: &RunsArgs, is_here: bool) -> &'static str {
    match (args.pipeline.is_some() || !args.statuses.is_empty(), is_here) {
        (true, true) => "no such runs of this repository; `trunkline runs --all` looks at all",
        (true, false) => "no such runs",
        (false, true) => {
            "no runs of this repository; `trunkline run` makes one, `trunkline runs --all` lists all"
        }
        (false, false) => "no runs; `trunkline run` makes one",
    }
}

struct Table {
    now: Timestamp,
    output: Output,
    /// The one repository that all runs are of, which then need not be shown.
    repository: Option<String>,
}

impl Table {
    /// The head, a line for each run, and what to do about those that were interrupted.
    fn lines(&self, rows: &[Listed]) -> Vec<String> {
        let widest =
            |of: fn(&RunRow) -> &str| rows.iter().map(|it| format::width(of(&it.row))).max();
        let pipeline = widest(|it| &it.pipeline).unwrap_or(0).max("pipeline".len());
        let place = widest(|it| &it.repository).unwrap_or(0).max("repository".len());
        let created = format!("created ({})", self.output.zone());
        let head = self.line(
            ["run", "status", "pipeline", "repository", &created, "time"],
            "revision",
            (pipeline, place),
        );
        let mut lines = vec![self.output.paint.dim(&head)];
        lines.extend(rows.iter().map(|it| self.row(it, (pipeline, place))));
        let interrupted = rows.iter().filter(|it| it.is_interrupted);
        lines.extend(interrupted.map(|it| {
            let number = it.row.number;
            format!("run #{number} was interrupted: `trunkline resume {number}` goes on")
        }));
        for Listed { row: RunRow { number, status, .. }, undecided, .. } in rows {
            let passed = *status == RunStatus::Passed;
            let then = if passed { ", and it went on without approval" } else { "" };
            lines.extend(undecided.iter().map(|stage| {
                format!("run #{number}: nobody decided about `{stage}` in time{then}")
            }));
        }
        lines
    }

    fn row(&self, listed: &Listed, columns: (usize, usize)) -> String {
        let Listed { row, is_interrupted, started_at, .. } = listed;
        let from = started_at.unwrap_or(row.created_at);
        let time = row.finished_at.unwrap_or(self.now).since(from);
        let time = if *is_interrupted { String::new() } else { format::duration(time) };
        let short = row.revision.get(..8).unwrap_or(&row.revision);
        let revision = [row.branch.as_str(), short, row.title.as_str()];
        let revision: Vec<_> = revision.into_iter().filter(|it| !it.is_empty()).collect();
        let status = if *is_interrupted {
            self.output.paint.yellow(line::INTERRUPTED)
        } else {
            line::status_word(row.status, self.output.paint)
        };
        let number = format!("#{}", row.number);
        let created = self.output.date_time(row.created_at);
        let cells = [&number, &status, &row.pipeline, &row.repository, &created, &time];
        self.line(cells.map(String::as_str), &format::fit(&revision.join(" "), 60), columns)
    }

    fn line(
        &self,
        [run, status, pipeline, repository, created, time]: [&str; 6],
        revision: &str,
        (pipeline_columns, repository_columns): (usize, usize),
    ) -> String {
        let status = format::pad(status, STATUS_COLUMNS);
        let pipeline = format::pad(pipeline, pipeline_columns);
        let repository = match self.repository {
            Some(_) => String::new(),
            None => format!("{}  ", format::pad(repository, repository_columns)),
        };
        format!("{run:>5}  {status}  {pipeline}  {repository}{created:19}  {time:>7}  {revision}")
    }
}

//! `trunkline runs`: the runs of a repository, of the whole state folder or of a server, newest first.

use std::collections::BTreeMap;

use crate::cli::drive::remembered::Remembered;
use crate::cli::drive::standing;
use crate::cli::failure::{Exit, Usage};
use crate::cli::output::Output;
use crate::cli::remote::Remote;
use crate::cli::remote::runs::RunsQuery;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::{format, line};
use crate::model::{RunStatus, Timestamp};
use crate::pipeline::EVENTS;
use crate::runs::LoadedRun;
use crate::runs::view::RunRowView;
use crate::store::runs::{RunFilter, RunRow};

/// Columns of a status.
const STATUS_COLUMNS: usize = format::INTERRUPTED.len();

/// Arguments of `trunkline runs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline runs                         of the repository you stand in; elsewhere all
  trunkline runs --all
  trunkline runs --pipeline ci --status failed --limit 5
  trunkline runs --server ci.example.org --project shop/web
  trunkline runs --json | jq '.[0].status'")]
pub struct RunsArgs {
    /// Runs of all repositories
    #[arg(short, long)]
    pub all: bool,
    /// Only runs of this project of a server
    #[arg(long, value_name = "TEAM/NAME")]
    pub project: Option<String>,
    /// Only runs of this pipeline
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,
    /// Only runs of this branch
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Only runs that this event started: `push`, `pull_request`, `schedule` or `manual`
    #[arg(long, value_name = "EVENT", value_parser = event)]
    pub event: Option<String>,
    /// Only runs of this commit (its id, or 4 or more of its first letters)
    #[arg(long, value_name = "COMMIT")]
    pub revision: Option<String>,
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

fn event(word: &str) -> Result<String, Usage> {
    let unknown = || Usage::new(format!("must be one of {}", EVENTS.join(", ")), "");
    EVENTS.contains(&word).then(|| word.to_owned()).ok_or_else(unknown)
}

impl RunsArgs {
    fn has_filter(&self) -> bool {
        let words = [&self.project, &self.pipeline, &self.branch, &self.event, &self.revision];
        words.iter().any(|it| it.is_some()) || !self.statuses.is_empty()
    }
}

/// Lists the runs.
pub async fn execute(session: &Session, args: &RunsArgs) -> anyhow::Result<Exit> {
    let remote = Remote::chosen(session)?;
    let Listed { rows, place, given } = match &remote {
        Some(remote) => of_server(remote, args).await?,
        None => of_here(session, args).await?,
    };
    if session.output.json {
        session.output.json(&rows)?;
    } else if rows.is_empty() {
        session.output.line(none(args.has_filter(), place))?;
    } else {
        let table = Table { now: session.now(), output: session.output, place, given };
        session.output.line(&table.lines(&rows).join("\n"))?;
    }
    Ok(Exit::Passed)
}

/// Events that are read at most to say more of the listed runs than their rows do.
const EVENTS_MAX: i64 = 20_000;

/// Reads what the rows do not say, as long as that is quick.
async fn look_into(state: &State, rows: Vec<RunRow>) -> Vec<RunRowView> {
    let mut left = EVENTS_MAX;
    let mut listed = Vec::new();
    for row in rows {
        let is_interrupted = standing::is_interrupted(state, &row.id, row.status);
        left -= row.events;
        let loaded = if left < 0 { None } else { state.runs.load(&row.id).await.ok() };
        let started_at = loaded.as_ref().and_then(|it| it.run.times().0);
        let undecided = loaded.as_ref().map(undecided).unwrap_or_default();
        listed.push(RunRowView { started_at, undecided, ..RunRowView::of(&row, is_interrupted) });
    }
    listed
}

fn undecided(loaded: &LoadedRun) -> Vec<String> {
    let stages = loaded.run.stages().zip(&loaded.run.plan().stages);
    let undecided = stages.filter(|((index, _), _)| loaded.run.is_undecided(*index));
    undecided.map(|(_, planned)| planned.key.clone()).collect()
}

/// Whose runs are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Those of one repository of this machine, which then need not be shown.
    Repository,
    /// All of this machine.
    Machine,
    /// Those of a server.
    Server,
}

/// Runs, and what a person is told of them.
struct Listed {
    rows: Vec<RunRowView>,
    place: Place,
    /// What those that were interrupted were started with, as options, by their numbers.
    given: BTreeMap<i64, String>,
}

async fn of_here(session: &Session, args: &RunsArgs) -> anyhow::Result<Listed> {
    if args.project.is_some() {
        let help = "name the server with `--server` or `TRUNKLINE_SERVER`";
        return Err(Usage::new("only runs of a server have a project", help).into());
    }
    let state = State::open(&session.settings).await?;
    let repository = session.repository().filter(|_| !args.all);
    let place = if repository.is_some() { Place::Repository } else { Place::Machine };
    let filter = RunFilter {
        pipeline: args.pipeline.clone(),
        branch: args.branch.clone(),
        event: args.event.clone(),
        revision: args.revision.clone(),
        repository,
        statuses: args.statuses.clone(),
        limit: args.limit,
        ..RunFilter::default()
    };
    let rows = look_into(&state, state.store.list_runs(&filter).await?).await;
    let interrupted = rows.iter().filter(|it| it.interrupted);
    let given = interrupted.map(|it| (it.number, Remembered::of_run(&state, &it.id).options()));
    Ok(Listed { given: given.collect(), rows, place })
}

async fn of_server(remote: &Remote, args: &RunsArgs) -> anyhow::Result<Listed> {
    let word = |it: &'_ Option<String>| it.clone().unwrap_or_default();
    let statuses: Vec<_> = args.statuses.iter().map(|it| it.as_str()).collect();
    let query = RunsQuery {
        project: &word(&args.project),
        pipeline: &word(&args.pipeline),
        branch: &word(&args.branch),
        event: &word(&args.event),
        revision: &word(&args.revision),
        statuses: statuses.join(","),
    };
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let rows = remote.list_runs(&query, limit).await?;
    Ok(Listed { rows, place: Place::Server, given: BTreeMap::new() })
}

fn none(has_filter: bool, place: Place) -> &'static str {
    match (has_filter, place) {
        (true, Place::Repository) => {
            "no such runs of this repository; `trunkline runs --all` looks at all"
        }
        (true, Place::Machine | Place::Server) => "no such runs",
        (false, Place::Repository) => {
            "no runs of this repository; `trunkline run` makes one, `trunkline runs --all` lists all"
        }
        (false, Place::Machine) => "no runs; `trunkline run` makes one",
        (false, Place::Server) => "no runs; a push to a project starts one",
    }
}

struct Table {
    now: Timestamp,
    output: Output,
    place: Place,
    given: BTreeMap<i64, String>,
}

impl Table {
    /// The head, a line for each run, and what to do about those that were interrupted.
    fn lines(&self, rows: &[RunRowView]) -> Vec<String> {
        let widest =
            |of: fn(&RunRowView) -> &str| rows.iter().map(|it| format::width(of(it))).max();
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
        let interrupted = rows.iter().filter(|it| it.interrupted);
        lines.extend(interrupted.map(|it| {
            let number = it.number;
            let given = self.given.get(&number).map_or("", String::as_str);
            format!("run #{number} was interrupted: `trunkline resume {number}{given}` goes on")
        }));
        let failing = rows.iter().filter(|it| it.failed_stages > 0 && !it.status.is_finished());
        lines.extend(failing.map(|RunRowView { number, failed_stages, .. }| {
            let stages = if *failed_stages == 1 { "stage has" } else { "stages have" };
            format!("run #{number} goes on, and will fail: {failed_stages} {stages} failed already")
        }));
        for RunRowView { number, status, undecided, .. } in rows {
            let passed = *status == RunStatus::Passed;
            let then = if passed { ", and it went on without approval" } else { "" };
            lines.extend(undecided.iter().map(|stage| {
                format!("run #{number}: nobody decided about `{stage}` in time{then}")
            }));
        }
        lines
    }

    fn row(&self, row: &RunRowView, columns: (usize, usize)) -> String {
        let from = row.started_at.unwrap_or(row.created_at);
        let time = row.finished_at.unwrap_or(self.now).since(from);
        let time = if row.interrupted { String::new() } else { format::duration(time) };
        let short = row.revision.get(..8).unwrap_or(&row.revision);
        let revision = [row.branch.as_str(), short, row.title.as_str()];
        let revision: Vec<_> = revision.into_iter().filter(|it| !it.is_empty()).collect();
        let status = if row.interrupted {
            self.output.paint.yellow(format::INTERRUPTED)
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
        let repository = match self.place {
            Place::Repository => String::new(),
            Place::Machine | Place::Server => {
                format!("{}  ", format::pad(repository, repository_columns))
            }
        };
        format!("{run:>5}  {status}  {pipeline}  {repository}{created:19}  {time:>7}  {revision}")
    }
}

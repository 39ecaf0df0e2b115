//! `trunkline show`: one run as it stands.

use std::collections::BTreeMap;

use crate::approvals::{Approvals, Repositories, ShownApproval};
use crate::cli::drive::remembered::Remembered;
use crate::cli::drive::{report, screen, standing};
use crate::cli::failure::Exit;
use crate::cli::output::Output;
use crate::cli::remote::Remote;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::{View, approval, summary, tree};
use crate::model::{Milliseconds, StageStatus};
use crate::pipeline::graph::Graph;
use crate::runs::LoadedRun;
use crate::runs::view::RunView;

/// Arguments of `trunkline show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline show                         the newest run of this repository
  trunkline show 12
  trunkline show 12 --json | jq '.stages[] | {key, status}'
  trunkline show 12 --json | jq .lost_usd    what processes of this machine that died may have spent on models
  trunkline show 12 --svg run.svg        its graph with the status of each stage")]
pub struct ShowArgs {
    /// The run: `last` (of this repository), its number, or the beginning of its id
    #[arg(default_value = "last")]
    pub run: String,
    /// Draw its graph into this SVG file (`-` for standard output)
    #[arg(long, value_name = "FILE")]
    pub svg: Option<std::path::PathBuf>,
}

/// What is shown of a run, wherever it is.
struct Shown {
    run: RunView,
    /// The ends of the logs of failed stages, and the tests that failed.
    ends: summary::Ends,
    keeps_containers: bool,
    server: String,
    /// What it was started with here, as options.
    given: String,
    /// The approvals that people are asked for now.
    asked: Vec<ShownApproval>,
    /// What a run of a server waits for, and its place in the queue.
    waits: Vec<String>,
}

/// Shows the run.
pub async fn execute(session: &Session, args: &ShowArgs) -> anyhow::Result<Exit> {
    let shown = match (Remote::chosen(session)?, &args.svg) {
        (Some(remote), None) => of_server(&remote, args).await?,
        (Some(remote), Some(file)) => {
            let run = remote.find_run(&args.run).await?;
            return super::graph::write(session, &remote.graph(&run.id.0).await?, file);
        }
        (None, None) => of_here(session, args).await?,
        (None, Some(file)) => return draw(session, args, file).await,
    };
    if session.output.json {
        session.output.json(&summary::Told::new(&shown.run, &shown.ends))?;
        return Ok(Exit::Passed);
    }
    let tails = BTreeMap::new();
    let moment = (session.now(), session.output);
    let picture = screen::picture(&shown.run, moment, (&tails, &shown.server));
    let view = View { keeps_containers: shown.keeps_containers, given: &shown.given, ..picture };
    let mut lines = tree::lines(view, usize::MAX);
    lines.insert(1, session.output.paint.dim(&times(session.output, &shown.run)));
    lines.extend(shown.waits.iter().map(|it| session.output.paint.dim(it)));
    lines.extend(summary::lines(view, &shown.ends));
    for asked in &shown.asked {
        lines.extend(approval::lines(view, asked));
    }
    session.output.line(&lines.join("\n"))?;
    Ok(Exit::Passed)
}

/// The approvals that people are asked for now.
async fn asked(state: &State, loaded: &LoadedRun) -> anyhow::Result<Vec<ShownApproval>> {
    let repositories = Repositories::Folders(state.folder.join("objects"));
    let approvals = Approvals::new(state.runs.clone(), repositories);
    let mut shown = Vec::new();
    for (index, stage) in loaded.run.stages() {
        if stage.status == StageStatus::Waiting {
            shown.push(approvals.show(loaded, &index.0.to_string()).await?);
        }
    }
    Ok(shown)
}

async fn of_here(session: &Session, args: &ShowArgs) -> anyhow::Result<Shown> {
    let state = State::open(&session.settings).await?;
    let row = super::find_run(session, &state, &args.run).await?;
    let loaded = state.runs.load(&row.id).await?;
    Ok(Shown {
        run: standing::view_of(session, &state, &loaded),
        ends: report::ends(session, &state, &loaded).await?,
        keeps_containers: standing::keeps_some(&state, &row.id),
        server: String::new(),
        given: Remembered::of_run(&state, &row.id).options(),
        asked: asked(&state, &loaded).await?,
        waits: Vec::new(),
    })
}

async fn of_server(remote: &Remote, args: &ShowArgs) -> anyhow::Result<Shown> {
    let run = remote.find_run(&args.run).await?;
    let ends = remote.failure_ends(&run).await?;
    Ok(Shown {
        ends,
        keeps_containers: false,
        server: remote.hint.clone(),
        given: String::new(),
        asked: remote.asked(&run).await?,
        waits: remote.waits(&run).await?,
        run,
    })
}

async fn draw(session: &Session, args: &ShowArgs, file: &std::path::Path) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    let row = super::find_run(session, &state, &args.run).await?;
    let loaded = state.runs.load(&row.id).await?;
    let statuses: Vec<_> = loaded.run.stages().map(|(_, it)| it.status).collect();
    super::graph::write(session, &Graph::of(loaded.run.plan()).to_svg(Some(&statuses)), file)
}

/// `created 2027-03-31 12:03:44, ended 2027-03-31 12:05:01 (UTC+02:00)`
fn times(output: Output, run: &RunView) -> String {
    let started = run.started_at.filter(|it| it.since(run.created_at) >= NOTABLE);
    let mut parts = vec![format!("created {}", output.date_time(run.created_at))];
    parts.extend(started.map(|it| format!("started {}", output.date_time(it))));
    parts.extend(run.finished_at.map(|it| format!("ended {}", output.date_time(it))));
    format!("{} ({})", parts.join(", "), output.zone())
}

/// A start is told when it came so much later than the run was created.
const NOTABLE: Milliseconds = Milliseconds(1000);

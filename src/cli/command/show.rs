//! `trunkline show`: one run as it stands.

use std::collections::BTreeMap;

use crate::cli::drive::{self, report};
use crate::cli::failure::Exit;
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::{View, json, summary, tree};
use crate::model::Milliseconds;
use crate::pipeline::graph::Graph;
use crate::runs::LoadedRun;
use crate::runs::view::Surroundings;

/// Arguments of `trunkline show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline show                         the newest run of this repository
  trunkline show 12
  trunkline show 12 --json | jq '.stages[] | {key, status}'
  trunkline show 12 --svg run.svg        its graph with the status of each stage")]
pub struct ShowArgs {
    /// The run: `last` (of this repository), its number, or the beginning of its id
    #[arg(default_value = "last")]
    pub run: String,
    /// Draw its graph into this SVG file (`-` for standard output)
    #[arg(long, value_name = "FILE")]
    pub svg: Option<std::path::PathBuf>,
}

/// Shows the run.
pub async fn execute(session: &Session, args: &ShowArgs) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    let row = super::find_run(session, &state, &args.run).await?;
    let loaded = state.runs.load(&row.id).await?;
    let tails = BTreeMap::new();
    let view = View {
        run: &loaded.run,
        number: loaded.row.number,
        created_at: loaded.row.created_at,
        now: session.now(),
        tails: &tails,
        paint: session.output.paint,
        keeps_containers: drive::keeps_some(&state, &row.id),
        is_interrupted: drive::is_interrupted(&state, &row.id, loaded.run.status()),
        columns: usize::MAX,
    };
    if let Some(file) = &args.svg {
        let plan = loaded.run.plan();
        let statuses: Vec<_> = view.statuses().collect();
        return super::graph::write(session, &Graph::of(plan).to_svg(Some(&statuses)), file);
    }
    if session.output.json {
        session.output.json(&json::run(view, Surroundings::of(&loaded.row)))?;
        return Ok(Exit::Passed);
    }
    let ends = report::failure_ends(&loaded, &state.logs).await?;
    let mut lines = tree::lines(view, usize::MAX);
    lines.insert(1, session.output.paint.dim(&times(session.output, &loaded)));
    lines.extend(summary::lines(view, &ends));
    session.output.line(&lines.join("\n"))?;
    Ok(Exit::Passed)
}

/// `created 2027-03-31 12:03:44, ended 2027-03-31 12:05:01 (UTC+02:00)`
fn times(output: Output, loaded: &LoadedRun) -> String {
    let created = loaded.row.created_at;
    let (started, ended) = loaded.run.times();
    let started = started.filter(|it| it.since(created) >= NOTABLE);
    let mut parts = vec![format!("created {}", output.date_time(created))];
    parts.extend(started.map(|it| format!("started {}", output.date_time(it))));
    parts.extend(ended.map(|it| format!("ended {}", output.date_time(it))));
    format!("{} ({})", parts.join(", "), output.zone())
}

/// A start is told when it came so much later than the run was created.
const NOTABLE: Milliseconds = Milliseconds(1000);

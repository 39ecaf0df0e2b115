//! `trunkline show`: one run as it stands.

use std::collections::BTreeMap;

use crate::cli::drive::{self, report};
use crate::cli::failure::Exit;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::{View, json, summary, tree};
use crate::pipeline::graph::Graph;
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
    let lines = [tree::lines(view, usize::MAX), summary::lines(view, &ends)].concat();
    session.output.line(&lines.join("\n"))?;
    Ok(Exit::Passed)
}

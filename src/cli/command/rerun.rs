//! `trunkline rerun`: tries a finished run's stages again; what was green and is not touched stays.

use crate::cli::drive::{self, DriveArgs};
use crate::cli::failure::Exit;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::engine::{Command, RerunScope};
use crate::runs::LoadedRun;

/// Arguments of `trunkline rerun`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline rerun --failed last          what failed, and what follows from it
  trunkline rerun 12 --stage unit
  trunkline rerun 12                     every stage")]
pub struct RerunArgs {
    /// The run: `last`, its number, or the beginning of its id
    #[arg(default_value = "last")]
    pub run: String,
    /// Only what failed or was cancelled, and what was skipped because of that
    #[arg(long, conflicts_with = "stages")]
    pub failed: bool,
    /// Only this stage and what follows from it (repeatable)
    #[arg(short, long = "stage", value_name = "STAGE")]
    pub stages: Vec<String>,
    /// How it is driven.
    #[command(flatten)]
    pub drive: DriveArgs,
}

/// Asks for the re-run and drives it.
pub async fn execute(session: &Session, args: &RerunArgs) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    let row = state.runs.find(&args.run).await?;
    let mut loaded = state.runs.load(&row.id).await?;
    let command =
        Command::Rerun { scope: scope(&loaded, args)?, by: session.settings.user.clone() };
    state.runs.execute(&mut loaded, &command, session.now()).await?;
    drive::drive(session, &state, &row.id, &args.drive).await
}

fn scope(loaded: &LoadedRun, args: &RerunArgs) -> anyhow::Result<RerunScope> {
    if args.failed {
        return Ok(RerunScope::Failed);
    }
    if args.stages.is_empty() {
        return Ok(RerunScope::All);
    }
    let mut stages = Vec::new();
    for wanted in &args.stages {
        stages.extend(super::find_stages(loaded, wanted)?);
    }
    Ok(RerunScope::Stages(stages))
}

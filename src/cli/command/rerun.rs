//! `trunkline rerun`: tries a finished run's stages again; what was green and is not touched stays.

use std::collections::BTreeSet;

use crate::cli::drive::args::{DriveArgs, Reuse};
use crate::cli::drive::{Foreground, standing};
use crate::cli::failure::Exit;
use crate::cli::local::missing_secrets;
use crate::cli::remote::{Call, Remote, watch};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::engine::{Command, Event, RerunScope};
use crate::model::StageIndex;
use crate::runs::RunsError;
use crate::runs::view::RunView;

/// Arguments of `trunkline rerun`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`--gateway` and `--model-calls` are those that the run was started with, unless you give others. Secrets are
kept nowhere, so give them again.

Examples:
  trunkline rerun --failed last          what failed, and what follows from it
  trunkline rerun 12 --stage unit
  trunkline rerun 12                     every stage; one with unchanged `inputs` reuses its result
  trunkline rerun 12 --no-reuse          every stage, whatever was unchanged
  trunkline rerun --failed 12 --server ci.example.org")]
pub struct RerunArgs {
    /// The run: `last` (of this repository), its number, or the beginning of its id
    #[arg(default_value = "last")]
    pub run: String,
    /// Only what failed or was cancelled, and what was skipped because of that
    #[arg(long, conflicts_with = "stages")]
    pub failed: bool,
    /// Only this stage and what follows from it (repeatable)
    #[arg(short, long = "stage", value_name = "STAGE")]
    pub stages: Vec<String>,
    /// Run stages although nothing they depend on has changed
    #[arg(long)]
    pub no_reuse: bool,
    /// Do not wait for the end (of a run of a server)
    #[arg(long)]
    pub detach: bool,
    /// How it is driven.
    #[command(flatten)]
    pub drive: DriveArgs,
}

/// Asks for the re-run and drives it.
pub async fn execute(session: &Session, args: &RerunArgs) -> anyhow::Result<Exit> {
    if let Some(remote) = Remote::chosen(session)? {
        args.drive.check_remote()?;
        return start_at_server(session, &remote, args).await;
    }
    let state = State::open(&session.settings).await?;
    let row = super::find_run(session, &state, &args.run).await?;
    let mut loaded = state.runs.load(&row.id).await?;
    let scope = scope(&standing::view_of(session, &state, &loaded), args)?;
    let (by, no_reuse) = (session.settings.user.clone(), args.no_reuse);
    let command = Command::Rerun { scope, by, no_reuse };
    // What is missing is told before the run has begun again and could not go on.
    let foreground = Foreground::open_for(session, &state, &args.drive, &row.id).await?;
    let decided = loaded.run.decide(&command, session.now()).map_err(RunsError::from)?;
    let again = again(&decided);
    let reuse = Reuse::unless(args.no_reuse);
    let (run, given) = (&loaded.run, foreground.secrets());
    missing_secrets::refuse_rest(run, |it| again.contains(&it), given, reuse)?;
    let foreground = foreground.with_gateway((&row.id, &row.repository)).await?;
    state.runs.execute(&mut loaded, &command, session.now()).await?;
    foreground.drive(&row.id, reuse).await
}

/// The stages that will run again.
fn again(events: &[Event]) -> BTreeSet<StageIndex> {
    let of = |it: &Event| {
        if let Event::RerunRequested { stages, .. } = it { stages.clone() } else { Vec::new() }
    };
    events.iter().flat_map(of).collect()
}

async fn start_at_server(
    session: &Session,
    remote: &Remote,
    args: &RerunArgs,
) -> anyhow::Result<Exit> {
    let run = remote.find_run(&args.run).await?;
    for stage in &args.stages {
        super::find_stages(&run, stage)?;
    }
    let body = serde_json::json!({
        "failed": args.failed, "stages": args.stages, "no_reuse": args.no_reuse,
    });
    let call = Call::post(&["runs", &run.id.0, "rerun"]).body(&body);
    let run: RunView = remote.client.fetch(&call).await?;
    watch::follow(session, (remote, run), (args.detach, args.drive.report)).await
}

fn scope(run: &RunView, args: &RerunArgs) -> anyhow::Result<RerunScope> {
    if args.failed {
        return Ok(RerunScope::Failed);
    }
    if args.stages.is_empty() {
        return Ok(RerunScope::All);
    }
    let mut stages = Vec::new();
    for wanted in &args.stages {
        stages.extend(super::find_stages(run, wanted)?);
    }
    Ok(RerunScope::Stages(stages))
}

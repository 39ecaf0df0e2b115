//! `trunkline resume`: goes on with runs whose process was stopped or killed.

use crate::cli::drive::{self, DriveArgs};
use crate::cli::failure::Exit;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::model::RunStatus;
use crate::store::runs::{RunFilter, RunRow};

/// Runs that are looked at at once.
const PAGE: u32 = 100;

/// Arguments of `trunkline resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Containers that went on meanwhile are adopted: no step runs twice. Secrets are kept nowhere, so give them
again. The exit code is that of the resumed runs; with nothing to resume, that of the newest run.

Examples:
  trunkline resume                       every run that was interrupted
  trunkline resume 12 --secret API_KEY")]
pub struct ResumeArgs {
    /// The run: `last`, its number, or the beginning of its id [default: all that were interrupted]
    pub run: Option<String>,
    /// How they are driven.
    #[command(flatten)]
    pub drive: DriveArgs,
}

/// Drives what is not finished and not driven by another process.
pub async fn execute(session: &Session, args: &ResumeArgs) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    let rows = match &args.run {
        Some(reference) => vec![state.runs.find(reference).await?],
        None => unfinished(&state).await?,
    };
    if rows.iter().all(|it| it.status.is_finished()) {
        return nothing_to_resume(session, &state, rows).await;
    }
    let mut exit = Exit::Passed;
    for row in rows {
        let ended = match drive::drive(session, &state, &row.id, &args.drive).await {
            Err(error) if args.run.is_none() && drive::is_elsewhere(&error) => continue,
            other => other?,
        };
        match ended {
            Exit::Passed => (),
            Exit::Terminated => return Ok(ended),
            Exit::RunFailed | Exit::Usage | Exit::Broken | Exit::Program(_) => exit = ended,
        }
    }
    Ok(exit)
}

/// Unfinished runs, oldest first. Those that another process drives are left to it.
async fn unfinished(state: &State) -> anyhow::Result<Vec<RunRow>> {
    let statuses =
        vec![RunStatus::Queued, RunStatus::Running, RunStatus::Waiting, RunStatus::Cancelling];
    let filter = RunFilter { statuses, limit: PAGE, ..RunFilter::default() };
    let mut rows = state.store.list_runs(&filter).await?;
    rows.reverse();
    Ok(rows)
}

/// What a killed process left behind is removed all the same.
async fn nothing_to_resume(
    session: &Session,
    state: &State,
    rows: Vec<RunRow>,
) -> anyhow::Result<Exit> {
    drive::sweep(session, state).await;
    let newest = match rows.into_iter().next() {
        Some(row) => Some(row),
        None => state.store.list_runs(&RunFilter { limit: 1, ..RunFilter::default() }).await?.pop(),
    };
    let Some(row) = newest else {
        session.output.line("there are no runs")?;
        return Ok(Exit::Passed);
    };
    if !session.output.json {
        session
            .output
            .line(&format!("nothing to resume; run #{} is {}", row.number, row.status))?;
    }
    let has_failed = matches!(row.status, RunStatus::Failed | RunStatus::Cancelled);
    Ok(if has_failed { Exit::RunFailed } else { Exit::Passed })
}

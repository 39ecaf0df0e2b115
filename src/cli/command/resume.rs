//! `trunkline resume`: goes on with runs whose process was stopped or killed.

use crate::cli::drive::args::{DriveArgs, Reuse};
use crate::cli::drive::{Foreground, standing, workers};
use crate::cli::failure::{Exit, Usage, is_elsewhere};
use crate::cli::local::missing_secrets;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::model::RunStatus;
use crate::runs::view::RunRowView;
use crate::store::runs::{RunFilter, RunRow};

/// Runs that are looked at at once.
const PAGE: u32 = 100;

/// Arguments of `trunkline resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Containers that went on meanwhile are adopted: no step runs twice. Secrets are kept nowhere, so give them
again; `--gateway` and `--model-calls` are those that the run was started with, unless you give others. The
exit code is that of the runs that were resumed, and 0 when there was nothing to resume; of a run that is
named and has ended, it is that of the run.

Examples:
  trunkline resume                       every run that was interrupted, in any repository
  trunkline resume 12 --secret API_KEY")]
pub struct ResumeArgs {
    /// The run: `last` (of this repository), its number, or the beginning of its id [default: all that
    /// were interrupted]
    pub run: Option<String>,
    /// How they are driven.
    #[command(flatten)]
    pub drive: DriveArgs,
}

/// Drives what is not finished and not driven by another process.
pub async fn execute(session: &Session, args: &ResumeArgs) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    if let Some(reference) = &args.run {
        let row = super::find_run(session, &state, reference).await?;
        return resume_one(session, &state, (&row, args)).await;
    }
    let unfinished = unfinished(&state).await?;
    let is_interrupted = |it: &RunRow| standing::is_interrupted(&state, &it.id, it.status);
    let (interrupted, driven): (Vec<_>, Vec<_>) = unfinished.into_iter().partition(is_interrupted);
    if interrupted.is_empty() {
        return nothing_to_resume(session, &state, &driven).await;
    }
    let mut exit = Exit::Passed;
    for row in interrupted {
        let ended = match resume_interrupted(session, &state, (&row, args)).await {
            Err(error) if is_elsewhere(&error) => continue,
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

async fn resume_one(
    session: &Session,
    state: &State,
    (row, args): (&RunRow, &ResumeArgs),
) -> anyhow::Result<Exit> {
    if row.status.is_finished() {
        return ended(session, state, row).await;
    }
    if !standing::is_interrupted(state, &row.id, row.status) {
        let number = row.number;
        let message = format!("run #{number} is driven by {}", driver(row));
        let help = format!(
            "`trunkline logs {number} --follow` follows it, `trunkline cancel {number}` stops it"
        );
        return Err(Usage::new(message, help).into());
    }
    resume_interrupted(session, state, (row, args)).await
}

/// Goes on with a run, if what it still wants is given.
async fn resume_interrupted(
    session: &Session,
    state: &State,
    (row, args): (&RunRow, &ResumeArgs),
) -> anyhow::Result<Exit> {
    let loaded = state.runs.load(&row.id).await?;
    let foreground = Foreground::open_for(session, state, &args.drive, &row.id).await?;
    let is_left = |it| loaded.run.stage(it).is_some_and(|it| !it.status.is_finished());
    let (run, given) = (&loaded.run, foreground.secrets());
    missing_secrets::refuse_rest(run, is_left, given, Reuse::default())?;
    let foreground = foreground.with_gateway((&row.id, &row.repository)).await?;
    foreground.drive(&row.id, Reuse::default()).await
}

/// Unfinished runs, oldest first.
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
    driven: &[RunRow],
) -> anyhow::Result<Exit> {
    workers::sweep(session, state).await;
    if !session.output.json {
        let mut text = "nothing to resume".to_owned();
        for row in driven {
            text = format!("{text}; run #{} is driven by {}", row.number, driver(row));
        }
        session.output.line(&text)?;
    }
    Ok(Exit::Passed)
}

async fn ended(session: &Session, state: &State, row: &RunRow) -> anyhow::Result<Exit> {
    workers::sweep(session, state).await;
    if session.output.json {
        session.output.json(&RunRowView::of(row, false))?;
    } else {
        let verb = if row.status == RunStatus::Cancelled { "was" } else { "has" };
        let text = format!("nothing to resume: run #{} {verb} {}", row.number, row.status);
        session.output.line(&text)?;
    }
    Ok(if row.status == RunStatus::Passed { Exit::Passed } else { Exit::RunFailed })
}

fn driver(row: &RunRow) -> &str {
    if row.lease_owner.is_empty() { "another process" } else { &row.lease_owner }
}

//! `trunkline cancel`: stops a run, politely or by force.

use crate::cli::drive::{self, DriveArgs};
use crate::cli::failure::Exit;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::engine::{Command, Refused};
use crate::model::RunStatus;
use crate::runs::{LoadedRun, RunsError};

/// Arguments of `trunkline cancel`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline cancel last
  trunkline cancel 12 --reason 'wrong branch'
  trunkline cancel 12 --force            kill at once, and skip `always()` stages")]
pub struct CancelArgs {
    /// The run: `last` (of this repository), its number, or the beginning of its id
    pub run: String,
    /// Kill at once: wait neither for processes to end by themselves nor for `always()` stages
    #[arg(long)]
    pub force: bool,
    /// Why, for those who look at the run later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,
}

/// Cancels the run. Whoever drives it sees that at once; when nobody does, it is driven to its end here.
pub async fn execute(session: &Session, args: &CancelArgs) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    let row = super::find_run(session, &state, &args.run).await?;
    let mut loaded = state.runs.load(&row.id).await?;
    ask(session, &state, (&mut loaded, args)).await?;
    if drive::is_interrupted(&state, &row.id, loaded.run.status()) {
        finish_if_abandoned(session, &state, &loaded).await?;
    }
    tell(session, &state, (&loaded, args)).await?;
    Ok(Exit::Passed)
}

/// Asks once, or by force: for a run that is cancelled already politely, that is the second time.
async fn ask(
    session: &Session,
    state: &State,
    (loaded, args): (&mut LoadedRun, &CancelArgs),
) -> Result<(), RunsError> {
    let by = session.settings.user.clone();
    let command = Command::Cancel { by, reason: args.reason.clone() };
    let times = match (args.force, loaded.run.status()) {
        (true, _) => 2,
        (false, RunStatus::Cancelling) => 0,
        (false, _) => 1,
    };
    for nth in 0..times {
        if nth > 0 && loaded.run.status().is_finished() {
            break;
        }
        match state.runs.execute(loaded, &command, session.now()).await {
            Ok(_) => (),
            Err(RunsError::Refused(Refused::Duplicate)) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A run that no living process drives would stay as it is: its containers must still be stopped.
async fn finish_if_abandoned(
    session: &Session,
    state: &State,
    loaded: &LoadedRun,
) -> anyhow::Result<()> {
    let args = DriveArgs::default();
    let driven = drive::drive(session, state, &loaded.row.id, &args).await;
    match driven {
        Err(error) if drive::is_elsewhere(&error) => Ok(()),
        other => other.map(|_exit| ()),
    }
}

async fn tell(
    session: &Session,
    state: &State,
    (loaded, args): (&LoadedRun, &CancelArgs),
) -> anyhow::Result<()> {
    let status = state.runs.load(&loaded.row.id).await?.run.status();
    if session.output.json {
        let answer = serde_json::json!({ "run": loaded.row.id, "number": loaded.row.number, "status": status });
        session.output.json(&answer)?;
    } else {
        let number = loaded.row.number;
        let is_patient = status == RunStatus::Cancelling && !args.force;
        let hint = format!("; `trunkline cancel {number} --force` ends it at once");
        let hint = if is_patient { hint } else { String::new() };
        session.output.line(&format!("run #{number} is {status}{hint}"))?;
    }
    Ok(())
}

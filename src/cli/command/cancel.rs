//! `trunkline cancel`: cancels a run, politely or by force.

use crate::cli::drive::args::DriveArgs;
use crate::cli::drive::{self, standing};
use crate::cli::failure::{Exit, is_elsewhere};
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view;
use crate::engine::{Command, Refused};
use crate::model::RunStatus;
use crate::runs::view::RunView;
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
    if let Some(remote) = Remote::chosen(session)? {
        let run = cancel_at_server(&remote, args).await?;
        tell(session, (&run, &remote.hint), args)?;
        return Ok(Exit::Passed);
    }
    let state = State::open(&session.settings).await?;
    let row = super::find_run(session, &state, &args.run).await?;
    let mut loaded = state.runs.load(&row.id).await?;
    ask(session, &state, (&mut loaded, args)).await?;
    if standing::is_interrupted(&state, &row.id, loaded.run.status()) {
        finish_if_abandoned(session, &state, &loaded).await?;
    }
    let loaded = state.runs.load(&row.id).await?;
    tell(session, (&standing::view_of(session, &state, &loaded), ""), args)?;
    Ok(Exit::Passed)
}

/// Asks the server, unless it has been asked already.
async fn cancel_at_server(remote: &Remote, args: &CancelArgs) -> anyhow::Result<RunView> {
    let run = remote.find_run(&args.run).await?;
    if times(args, run.status) == 0 {
        return Ok(run);
    }
    let body = serde_json::json!({ "reason": args.reason, "force": args.force });
    let call = Call::post(&["runs", &run.id.0, "cancel"]).body(&body);
    Ok(remote.client.fetch(&call).await?)
}

/// How often a cancel is asked for: for a run that is cancelled already, once more means by force.
fn times(args: &CancelArgs, status: RunStatus) -> u32 {
    match (args.force, status) {
        (true, _) => 2,
        (false, RunStatus::Cancelling) => 0,
        (false, _) => 1,
    }
}

/// Asks once, or by force: for a run that is cancelled already politely, that is the second time.
async fn ask(
    session: &Session,
    state: &State,
    (loaded, args): (&mut LoadedRun, &CancelArgs),
) -> Result<(), RunsError> {
    let by = session.settings.user.clone();
    let command = Command::Cancel { by, reason: args.reason.clone() };
    for nth in 0..times(args, loaded.run.status()) {
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
        Err(error) if is_elsewhere(&error) => Ok(()),
        other => other.map(|_exit| ()),
    }
}

fn tell(
    session: &Session,
    (run, server): (&RunView, &str),
    args: &CancelArgs,
) -> anyhow::Result<()> {
    let (number, status) = (run.number, run.status);
    if session.output.json {
        let answer = serde_json::json!({ "run": run.id, "number": number, "status": status });
        session.output.json(&answer)?;
    } else {
        let is_patient = status == RunStatus::Cancelling && !args.force;
        let command = view::command(&format!("cancel {number} --force"), server);
        let hint = format!("; `{command}` ends it at once");
        let hint = if is_patient { hint } else { String::new() };
        session.output.line(&format!("run #{number} is {status}{hint}"))?;
    }
    Ok(())
}

//! `trunkline approve` and `trunkline reject`: a person answers a stage that waits.

use crate::cli::drive;
use crate::cli::failure::Exit;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::format;
use crate::engine::{Command, Run};
use crate::model::{StageIndex, StageStatus};

/// Examples of a yes.
pub const APPROVE_EXAMPLES: &str = "\
Examples:
  trunkline approve last release -m 'looks good'
  trunkline approve 12 release --team ops";
/// An example of a no.
pub const REJECT_EXAMPLES: &str = "\
Example:
  trunkline reject 12 release -m 'p95 is too high'";

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// Arguments of `trunkline approve` and `trunkline reject`.
#[derive(Debug, clap::Args)]
pub struct AnswerArgs {
    /// The run: `last` (of this repository), its number, or the beginning of its id
    pub run: String,
    /// The stage that waits
    pub stage: String,
    /// Why
    #[arg(short = 'm', long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub comment: String,
    /// Who answers [default: the user of this machine]
    #[arg(long, value_name = "LOGIN")]
    pub by: Option<String>,
    /// A team that this person is in, for approvals by `team/<name>` (repeatable)
    #[arg(long = "team", value_name = "NAME")]
    pub teams: Vec<String>,
}

/// Records the answer. The process that drives the run sees it at once.
pub async fn execute(session: &Session, args: &AnswerArgs, answer: Answer) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    let row = super::find_run(session, &state, &args.run).await?;
    let mut loaded = state.runs.load(&row.id).await?;
    let stage = super::find_stage(&loaded, &args.stage)?;
    state
        .runs
        .execute(&mut loaded, &command(session, args, (answer, stage)), session.now())
        .await?;
    let run = &loaded.run;
    if session.output.json {
        let told = run.stage(stage);
        session.output.json(&serde_json::json!({
            "run": row.id,
            "stage": args.stage,
            "stage_status": told.map(|it| it.status),
            "approvals": told.map(|it| &it.approvals),
            "missing_approvals": missing(run, stage),
        }))?;
        return Ok(Exit::Passed);
    }
    let what = told(run, stage, answer);
    session.output.line(&format!("`{}` of run #{} {what}", args.stage, row.number))?;
    if drive::is_interrupted(&state, &row.id, run.status()) {
        let hint = format!("nobody drives the run: `trunkline resume {}` goes on", row.number);
        session.output.line(&hint)?;
    }
    Ok(Exit::Passed)
}

fn command(session: &Session, args: &AnswerArgs, (answer, stage): (Answer, StageIndex)) -> Command {
    let by = args.by.clone().unwrap_or_else(|| session.settings.user.clone());
    let (teams, comment) = (args.teams.clone(), args.comment.clone());
    match answer {
        Answer::Approve => Command::Approve { stage, by, teams, comment },
        Answer::Reject => Command::Reject { stage, by, teams, comment },
    }
}

/// How many more people must say yes now.
fn missing(run: &Run, stage: StageIndex) -> u32 {
    let is_waiting = run.stage(stage).is_some_and(|it| it.status == StageStatus::Waiting);
    if is_waiting { run.missing_approvals(stage) } else { 0 }
}

/// `is approved`, or how far it is from that.
fn told(run: &Run, stage: StageIndex, answer: Answer) -> String {
    let missing = missing(run, stage);
    match answer {
        Answer::Reject => "is rejected".to_owned(),
        Answer::Approve if missing == 0 => "is approved".to_owned(),
        Answer::Approve => {
            let have = run.stage(stage).map_or(0, |it| it.approvals.len() as u64);
            let all = format::count(have + u64::from(missing), "approval");
            let more = if missing == 1 { "one".to_owned() } else { missing.to_string() };
            format!("has {have} of {all}; needs {more} more")
        }
    }
}

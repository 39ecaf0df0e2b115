//! `trunkline approve` and `trunkline reject`: a person answers a stage that waits.

use crate::cli::drive::remembered::Remembered;
use crate::cli::drive::standing;
use crate::cli::failure::{Exit, Usage};
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::format;
use crate::engine::Command;
use crate::model::StageIndex;
use crate::runs::view::{RunView, StageView};

/// Examples of a yes.
pub const APPROVE_EXAMPLES: &str = "\
Examples:
  trunkline approve last release -m 'looks good'
  trunkline approve 12 release --team ops
  trunkline approve 12 release --server ci.example.org";
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
    let (run, stage, given) = match Remote::chosen(session)? {
        Some(remote) => at_server(&remote, args, answer).await?,
        None => here(session, args, answer).await?,
    };
    let told = run.stage(stage);
    if session.output.json {
        session.output.json(&serde_json::json!({
            "run": run.id,
            "stage": args.stage,
            "stage_status": told.map(|it| it.status),
            "approvals": told.map(|it| &it.approvals),
            "missing_approvals": told.map_or(0, StageView::missing_approvals),
        }))?;
        return Ok(Exit::Passed);
    }
    let number = run.number;
    if let Some(stage) = told {
        session.output.line(&format!(
            "`{}` of run #{number} {}",
            args.stage,
            what(stage, answer)
        ))?;
    }
    if run.interrupted {
        let hint = format!("nobody drives the run: `trunkline resume {number}{given}` goes on");
        session.output.line(&hint)?;
    }
    Ok(Exit::Passed)
}

/// The run, its stage, and what the run was started with, as options of `trunkline resume`.
async fn here(
    session: &Session,
    args: &AnswerArgs,
    answer: Answer,
) -> anyhow::Result<(RunView, StageIndex, String)> {
    let state = State::open(&session.settings).await?;
    let row = super::find_run(session, &state, &args.run).await?;
    let mut loaded = state.runs.load(&row.id).await?;
    let stage = super::find_stage(&standing::view_of(session, &state, &loaded), &args.stage)?;
    let command = command(session, args, (answer, stage));
    state.runs.execute(&mut loaded, &command, session.now()).await?;
    let given = Remembered::of_run(&state, &row.id).options();
    Ok((standing::view_of(session, &state, &loaded), stage, given))
}

/// A server knows who answers, and in which teams they are.
async fn at_server(
    remote: &Remote,
    args: &AnswerArgs,
    answer: Answer,
) -> anyhow::Result<(RunView, StageIndex, String)> {
    if args.by.is_some() || !args.teams.is_empty() {
        let message = "`--by` and `--team` are for runs of this machine";
        let help = "leave them out: the server knows who you are";
        return Err(Usage::new(message, help).into());
    }
    let run = remote.find_run(&args.run).await?;
    let stage = super::find_stage(&run, &args.stage)?;
    let verb = match answer {
        Answer::Approve => "approve",
        Answer::Reject => "reject",
    };
    let body = serde_json::json!({ "comment": args.comment });
    let call = Call::post(&["runs", &run.id.0, "stages", run.key_of(stage), verb]).body(&body);
    // A server goes on with its runs itself.
    Ok((remote.client.fetch(&call).await?, stage, String::new()))
}

fn command(session: &Session, args: &AnswerArgs, (answer, stage): (Answer, StageIndex)) -> Command {
    let by = args.by.clone().unwrap_or_else(|| session.settings.user.clone());
    let (teams, comment) = (args.teams.clone(), args.comment.clone());
    match answer {
        Answer::Approve => Command::Approve { stage, by, teams, names: Vec::new(), comment },
        Answer::Reject => Command::Reject { stage, by, teams, comment },
    }
}

/// `is approved`, or how far it is from that.
fn what(stage: &StageView, answer: Answer) -> String {
    let missing = stage.missing_approvals();
    match answer {
        Answer::Reject => "is rejected".to_owned(),
        Answer::Approve if missing == 0 => "is approved".to_owned(),
        Answer::Approve => {
            let have = stage.approvals.len() as u64;
            let all = format::count(have + u64::from(missing), "approval");
            let more = if missing == 1 { "one".to_owned() } else { missing.to_string() };
            format!("has {have} of {all}; needs {more} more")
        }
    }
}

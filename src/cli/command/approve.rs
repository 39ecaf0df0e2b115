//! `trunkline approve`: a person says yes.

use crate::cli::drive;
use crate::cli::failure::Exit;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::engine::Command;
use crate::model::StageIndex;

/// Arguments of `trunkline approve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline approve last release -m 'looks good'
  trunkline approve 12 release --team ops")]
pub struct ApproveArgs {
    /// The answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// Arguments of an answer.
#[derive(Debug, clap::Args)]
pub struct AnswerArgs {
    /// The run: `last`, its number, or the beginning of its id
    pub run: String,
    /// The stage that waits
    pub stage: String,
    /// Why
    #[arg(short = 'm', long, value_name = "TEXT", default_value = "")]
    pub comment: String,
    /// Who answers [default: the user of this machine]
    #[arg(long, value_name = "LOGIN")]
    pub by: Option<String>,
    /// A team that this person is in, for approvals by `team/<name>` (repeatable)
    #[arg(long = "team", value_name = "NAME")]
    pub teams: Vec<String>,
}

/// Records the yes.
pub async fn execute(session: &Session, args: &ApproveArgs) -> anyhow::Result<Exit> {
    let answer = &args.answer;
    answer_with(session, answer, "approved", |stage| Command::Approve {
        stage,
        by: who(session, answer),
        teams: answer.teams.clone(),
        comment: answer.comment.clone(),
    })
    .await
}

/// The person who answers.
pub fn who(session: &Session, args: &AnswerArgs) -> String {
    args.by.clone().unwrap_or_else(|| session.settings.user.clone())
}

/// Records an answer. The process that drives the run sees it at once.
pub async fn answer_with(
    session: &Session,
    args: &AnswerArgs,
    word: &str,
    command: impl FnOnce(StageIndex) -> Command,
) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    let row = state.runs.find(&args.run).await?;
    let mut loaded = state.runs.load(&row.id).await?;
    let index = super::find_stage(&loaded, &args.stage)?;
    state.runs.execute(&mut loaded, &command(index), session.now()).await?;
    let status = loaded.run.stage(index).map(|it| it.status);
    if session.output.json {
        let answer =
            serde_json::json!({ "run": row.id, "stage": args.stage, "stage_status": status });
        session.output.json(&answer)?;
        return Ok(Exit::Passed);
    }
    session.output.line(&format!("`{}` of run #{} is {word}", args.stage, row.number))?;
    if !loaded.run.status().is_finished() && !drive::is_driven(session, &row) {
        let hint = format!("nobody drives the run: `trunkline resume {}` goes on", row.number);
        session.output.line(&hint)?;
    }
    Ok(Exit::Passed)
}

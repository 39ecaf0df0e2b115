//! `trunkline reject`: a person says no.

use super::approve::{AnswerArgs, answer_with, who};
use crate::cli::failure::Exit;
use crate::cli::session::Session;
use crate::engine::Command;

/// Arguments of `trunkline reject`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  trunkline reject 12 release -m 'p95 is too high'")]
pub struct RejectArgs {
    /// The answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// Records the no.
pub async fn execute(session: &Session, args: &RejectArgs) -> anyhow::Result<Exit> {
    let answer = &args.answer;
    answer_with(session, answer, "rejected", |stage| Command::Reject {
        stage,
        by: who(session, answer),
        teams: answer.teams.clone(),
        comment: answer.comment.clone(),
    })
    .await
}

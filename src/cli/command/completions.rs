//! `trunkline completions`: what a shell needs to complete our commands.

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::cli::failure::Exit;
use crate::cli::session::Session;

/// Arguments of `trunkline completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline completions bash > ~/.local/share/bash-completion/completions/trunkline
  trunkline completions fish > ~/.config/fish/completions/trunkline.fish")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Writes the completions.
pub fn execute(session: &Session, args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "trunkline", &mut script);
    session.output.bytes(&script)?;
    Ok(Exit::Passed)
}

//! The command line: one file for each subcommand, and the only place where everything is put
//! together. Reads no environment (`config` does) and decides nothing about runs (`engine` does).

pub mod failure;
pub mod output;
pub mod session;
pub mod state;
pub mod keys;
pub mod view;
pub mod local;
pub mod drive;
pub mod configuration;
pub mod access;
pub mod remote;
pub mod command;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;

use crate::config::Environment;
use crate::telemetry;

use command::Subcommand;
use failure::{Exit, Usage, told};
use output::ColorChoice;
use session::Session;

/// How long background work may take to stop when the command is done.
const GOODBYE: Duration = Duration::from_secs(2);

/// Runs CI/CD pipelines in containers, on your machine as on the server.
#[derive(Debug, clap::Parser)]
#[command(
    name = "trunkline",
    version,
    after_help = "\
Exit codes: 0 passed, 1 the run failed, 2 the command or the file is wrong, 3 something below broke, \
143 stopped by SIGTERM (the run goes on with `trunkline resume`).

Start here:
  trunkline doctor        is everything there that a run needs?
  trunkline check         is the pipeline file right?
  trunkline run           run it"
)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Subcommand,
}

/// Options that every subcommand has.
#[derive(Debug, Clone, clap::Args)]
pub struct GlobalArgs {
    /// Folder of the state: database, logs, blobs [default: `TRUNKLINE_STATE`, or `trunkline` in the
    /// user's data folder]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub state: Option<PathBuf>,
    /// The server that the command is for, by its address or its host [default: `TRUNKLINE_SERVER`]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub server: Option<String>,
    /// Certificates (PEM) of authorities to trust as well [default: `TRUNKLINE_CA`]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub ca: Option<PathBuf>,
    /// Configuration file of the server [default: `TRUNKLINE_CONFIG`, or /etc/trunkline/server.toml for
    /// the commands that are about a server]; of `trunkline gateway` its own, which has no default
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Write JSON instead of text
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, help_heading = "Global options")]
    pub color: ColorChoice,
    /// Say more about what the engine does (up to three times)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
}

/// Parses the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.global.json;
    match local_only(&cli).map_err(anyhow::Error::from).and_then(|()| start(cli)) {
        Ok(exit) => exit.into(),
        Err(error) => told::report(&error, json).into(),
    }
}

/// A server that was named for what only this machine can do is a mistake.
fn local_only(cli: &Cli) -> Result<(), Usage> {
    match (&cli.global.server, cli.command.local_name()) {
        (Some(_), Some(name)) => {
            let message = format!("`trunkline {name}` works on this machine, and not on a server");
            Err(Usage::new(message, "leave `--server` out"))
        }
        _ => Ok(()),
    }
}

fn start(cli: Cli) -> anyhow::Result<Exit> {
    let process = Environment::of_process();
    let environment =
        configuration::environment(process, &cli.global, cli.command.configuration())?;
    let session = Session::new(environment, &cli.global)?;
    telemetry::start(&session.settings, cli.command.messages(), cli.global.verbose);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime could not be started")?;
    let is_logged = session.settings.log_json && cli.command.is_long();
    let exit = runtime.block_on(command::execute(&session, cli.command));
    runtime.shutdown_timeout(GOODBYE);
    if is_logged { exit.or_else(|error| Ok(told::log(&error))) } else { exit }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }

    /// Such an argument would take the option's place, and panic where it is read as the other. What is hidden does so
    /// on purpose: `serve` takes `--server` only to refuse it.
    #[test]
    fn no_argument_of_a_subcommand_has_the_name_of_a_global_option() {
        let command = super::Cli::command();
        let globals: Vec<_> = command.get_arguments().filter(|it| it.is_global_set()).collect();
        assert!(globals.iter().any(|it| it.get_id() == "state"), "the options are looked at");
        let mut waiting: Vec<_> = command.get_subcommands().collect();
        let (mut looked_at, mut same) = (0, Vec::new());
        while let Some(subcommand) = waiting.pop() {
            waiting.extend(subcommand.get_subcommands());
            for argument in subcommand.get_arguments() {
                looked_at += 1;
                let is_taken = globals.iter().any(|it| {
                    let long = it.get_long().is_some() && it.get_long() == argument.get_long();
                    let short = it.get_short().is_some() && it.get_short() == argument.get_short();
                    it.get_id() == argument.get_id() || long || short
                });
                if is_taken && !argument.is_hide_set() {
                    same.push(format!("{} {}", subcommand.get_name(), argument.get_id()));
                }
            }
        }
        assert!(looked_at > 100, "{looked_at} arguments were looked at");
        assert!(same.is_empty(), "{same:?}");
    }

    #[test]
    fn help_that_errors_send_to_has_examples() {
        for path in [&["budget", "set"][..], &["gateway", "key", "create"], &["spend"], &["traces"]]
        {
            let mut command = super::Cli::command();
            for name in path {
                command = command.find_subcommand(name).unwrap().clone();
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n"), "`{path:?}` has none");
        }
    }

    #[test]
    fn every_subcommand_has_an_example() {
        for subcommand in super::Cli::command().get_subcommands() {
            let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "`{}` has no example", subcommand.get_name());
        }
    }
}

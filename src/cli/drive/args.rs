//! Options of the commands that drive runs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::executor;
use super::screen::ReportArgs;
use crate::cli::failure::Usage;
use crate::gateway::settings::CassetteMode;

/// What runs stages on this machine, and how many.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct EngineArgs {
    /// What runs the stages [default: `docker`, or what the run was created with]
    #[arg(long, value_enum)]
    pub executor: Option<executor::Choice>,
    /// Stages at the same time [default: the number of CPUs, at least 2]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub jobs: Option<u16>,
    /// Containers made ready while their needs still run; 0 for none [default: as many as `--jobs`]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub look_ahead: Option<u16>,
}

/// Options of the commands that drive runs.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DriveArgs {
    /// Give a secret; without a value it is read from the environment
    #[arg(long = "secret", value_name = "NAME[=VALUE]")]
    pub secrets: Vec<String>,
    /// Give the secrets of a file with `NAME=value` lines
    #[arg(long = "secrets-file", value_name = "FILE")]
    pub secrets_files: Vec<PathBuf>,
    /// What runs the stages.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// The file of the LLM gateway for the stages [default: what the run was started with,
    /// `TRUNKLINE_GATEWAY`, or trunkline.gateway.toml of the repository]
    #[arg(long, value_name = "FILE")]
    pub gateway: Option<PathBuf>,
    /// What the cassettes of stages are for [default: what the run was started with, or
    /// `stages.model_calls` of the gateway's file]
    #[arg(long, value_name = "MODE", value_enum)]
    pub model_calls: Option<ModelCalls>,
    /// Keep the containers of failed stages for `trunkline shell` (on a terminal that is the default)
    #[arg(long, overrides_with = "no_keep")]
    pub keep: bool,
    /// Do not keep them
    #[arg(long, overrides_with = "keep")]
    pub no_keep: bool,
    /// How it is shown.
    #[command(flatten)]
    pub report: ReportArgs,
}

impl DriveArgs {
    /// Refuses what only this machine can do about a run of a server.
    pub fn check_remote(&self) -> Result<(), Usage> {
        let given = [
            (!self.secrets.is_empty(), "--secret"),
            (!self.secrets_files.is_empty(), "--secrets-file"),
            (self.engine.executor.is_some(), "--executor"),
            (self.engine.jobs.is_some(), "--jobs"),
            (self.engine.look_ahead.is_some(), "--look-ahead"),
            (self.keep, "--keep"),
            (self.gateway.is_some(), "--gateway"),
            (self.model_calls.is_some(), "--model-calls"),
        ];
        let Some((_, option)) = given.into_iter().find(|(is_given, _)| *is_given) else {
            return Ok(());
        };
        let message = format!("`{option}` is for runs that this machine drives");
        Err(Usage::new(message, "leave it out: the server has its own secrets and workers"))
    }
}

/// Whether an earlier green result may stand for a stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reuse {
    /// Where the stage declares `inputs` and they are as they were.
    #[default]
    WhereUnchanged,
    /// Every stage runs.
    Never,
}

impl Reuse {
    /// What `--no-reuse` says.
    #[must_use]
    pub fn unless(is_forbidden: bool) -> Self {
        if is_forbidden { Self::Never } else { Self::WhereUnchanged }
    }
}

/// What cassettes are for, as the command line says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ModelCalls {
    /// Nothing: every call goes out.
    Live,
    /// Every call goes out and is written into the working tree.
    Record,
    /// No call goes out.
    Replay,
    /// Calls that were not recorded go out and are.
    ReplayOrRecord,
}

impl ModelCalls {
    /// The word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Record => "record",
            Self::Replay => "replay",
            Self::ReplayOrRecord => "replay_or_record",
        }
    }
}

impl From<ModelCalls> for CassetteMode {
    fn from(mode: ModelCalls) -> Self {
        match mode {
            ModelCalls::Live => Self::Live,
            ModelCalls::Record => Self::Record,
            ModelCalls::Replay => Self::Replay,
            ModelCalls::ReplayOrRecord => Self::ReplayOrRecord,
        }
    }
}

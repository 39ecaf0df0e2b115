//! Errors of commands, and how they end.

pub mod told;

use std::process::ExitCode;

use crate::worker::WorkerError;

/// How a command ended. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: it passed, or did what it was asked.
    Passed,
    /// 1: the run failed or was cancelled.
    RunFailed,
    /// 2: the command line or a file is wrong.
    Usage,
    /// 3: something of ours or below us broke.
    Broken,
    /// 143: SIGTERM came; the run can be resumed.
    Terminated,
    /// 130 and the like: the exit code of a program we ran for a person.
    Program(u8),
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::RunFailed => 1,
            Self::Usage => 2,
            Self::Broken => 3,
            Self::Terminated => 143,
            Self::Program(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A command that cannot be carried out as it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Usage {
    /// What is wrong and what is known.
    pub message: String,
    /// The fix, as one sentence; may be empty.
    pub help: String,
}

impl Usage {
    /// A wrong command with its fix.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// Something below us that does not work, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Broken {
    /// What does not work.
    pub message: String,
    /// The fix, as one sentence.
    pub help: String,
}

/// Problems of a file that have been shown already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pipeline file has problems")]
pub struct AlreadyShown;

/// Whether the error only says that another process drives the run.
#[must_use]
pub fn is_elsewhere(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(WorkerError::DrivenElsewhere { .. }))
}

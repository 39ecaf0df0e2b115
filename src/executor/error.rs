//! Why an executor could not do what was asked.

use crate::model::FailureClass;

/// Split by what the caller does about it: each has a failure class.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExecutorError {
    /// The image is not here and cannot be pulled.
    #[error("image `{image}` is not on this machine and could not be pulled: {reason}")]
    Image {
        /// The reference.
        image: String,
        /// What the registry or daemon said, and what to do.
        reason: String,
        /// Whether that was an answer (no such image, no permission), which asking again does not change.
        is_definite: bool,
    },
    /// The user's file asks for something that cannot be: no shell, no such user, no such command.
    #[error("{0}")]
    Rejected(String),
    /// A service never got ready.
    #[error("service `{service}` did not get ready: {reason}")]
    Service {
        /// Its name.
        service: String,
        /// What was tried, for how long, and its last log lines.
        reason: String,
    },
    /// No trace of the attempt is left.
    #[error("the container of attempt {0} is gone and its exit code with it")]
    Gone(String),
    /// The machine below did not answer; it may in a moment.
    #[error("{operation} failed: {reason}")]
    Unavailable {
        /// What was tried, and on what.
        operation: String,
        /// What went wrong.
        reason: String,
    },
    /// The machine below failed.
    #[error("{operation} failed: {reason}")]
    Infra {
        /// What was tried, and on what.
        operation: String,
        /// What went wrong.
        reason: String,
    },
}

impl ExecutorError {
    /// The class of the failed attempt.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Image { .. } => FailureClass::ImagePull,
            Self::Rejected(_) | Self::Service { .. } => FailureClass::User,
            Self::Gone(_) | Self::Unavailable { .. } | Self::Infra { .. } => FailureClass::Infra,
        }
    }
    /// Whether another attempt would end the same way, whatever its class.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Image { is_definite: true, .. })
    }
}

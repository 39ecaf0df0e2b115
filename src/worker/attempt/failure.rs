//! Why an attempt ended before its program did.

use crate::blobs::BlobError;
use crate::engine::AttemptOutcome;
use crate::executor::ExecutorError;
use crate::model::FailureClass;

/// A failure class, and a message for a person. Becomes the outcome of the attempt.
#[derive(Debug, Clone)]
pub(in crate::worker) struct Failure {
    pub(in crate::worker) class: FailureClass,
    pub(in crate::worker) message: String,
    pub(in crate::worker) exit_code: Option<i32>,
    /// Whether another attempt would end the same way.
    pub(in crate::worker) is_final: bool,
}

impl Failure {
    pub(in crate::worker) fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), exit_code: None, is_final: false }
    }

    /// What the user's file asks for cannot be.
    pub(in crate::worker) fn user(message: impl Into<String>) -> Self {
        Self::new(FailureClass::User, message)
    }

    /// Our own storage or machine failed.
    pub(in crate::worker) fn infra(operation: &str, error: &dyn std::error::Error) -> Self {
        let source = error.source().map_or(String::new(), |it| format!(": {it}"));
        Self::new(FailureClass::Infra, format!("{operation} failed: {error}{source}"))
    }
}

impl From<Failure> for AttemptOutcome {
    fn from(failure: Failure) -> Self {
        let Failure { class, message, exit_code, is_final } = failure;
        Self { exit_code, is_final, ..Self::failed(class, message) }
    }
}

impl From<ExecutorError> for Failure {
    fn from(error: ExecutorError) -> Self {
        Self { is_final: error.is_final(), ..Self::new(error.class(), error.to_string()) }
    }
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        let source = std::error::Error::source(&error);
        let source = source.map_or(String::new(), |it| format!(": {it}"));
        Self::new(FailureClass::Infra, format!("{error}{source}"))
    }
}

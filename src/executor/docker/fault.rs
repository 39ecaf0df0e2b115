//! What the daemon's errors mean to us, and trying again what may pass.

use std::time::Duration;

use bollard::errors::Error;

use crate::executor::ExecutorError;

/// Tries at one request, the first included.
const TRIES: u32 = 4;
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The error for a request that failed.
pub(super) fn infra(operation: impl Into<String>, error: &Error) -> ExecutorError {
    let (operation, mut reason) = (operation.into(), said(error));
    if is_connection(error) {
        reason.push_str(". Is Docker running? `trunkline doctor` looks closer");
    }
    if is_passing(error) {
        return ExecutorError::Unavailable { operation, reason };
    }
    ExecutorError::Infra { operation, reason }
}

/// What the daemon said, or what happened instead.
pub(super) fn said(error: &Error) -> String {
    if let Error::DockerResponseServerError { message, .. } = error {
        return message.trim().to_owned();
    }
    with_causes(error)
}

/// The error for a daemon that does not answer at all.
pub(super) fn unreachable(socket: &str, error: &Error) -> ExecutorError {
    ExecutorError::Infra {
        operation: format!("connecting to Docker at `{socket}`"),
        reason: format!(
            "{}. Is Docker running, and may this user use it? `trunkline doctor` looks closer",
            with_causes(error)
        ),
    }
}

fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let line = inner.to_string();
        if !text.contains(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        cause = inner.source();
    }
    text
}

pub(super) fn status(error: &Error) -> Option<u16> {
    if let Error::DockerResponseServerError { status_code, .. } = error {
        return Some(*status_code);
    }
    None
}

pub(super) fn message(error: &Error) -> &str {
    if let Error::DockerResponseServerError { message, .. } = error {
        return message;
    }
    ""
}

pub(super) fn is_not_found(error: &Error) -> bool {
    status(error) == Some(404)
}

pub(super) fn is_conflict(error: &Error) -> bool {
    status(error) == Some(409)
}

/// Whether the request may never have reached the daemon, or its answer was lost.
pub(super) fn is_connection(error: &Error) -> bool {
    matches!(
        error,
        Error::HyperResponseError { .. }
            | Error::HyperLegacyError { .. }
            | Error::RequestTimeoutError
            | Error::IOError { .. }
            | Error::SocketNotFoundError(_)
    )
}

/// Whether the daemon may answer in a moment.
fn is_passing(error: &Error) -> bool {
    is_connection(error) || matches!(status(error), Some(502..=504))
}

/// Asks again, a few times with a growing delay, when the connection broke or the daemon was in trouble.
/// `request` must do no harm when it is done twice.
pub(super) async fn retry<T, F>(request: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut delay = FIRST_DELAY;
    for _ in 1..TRIES {
        match request().await {
            Err(error) if is_passing(&error) => {
                tokio::time::sleep(delay).await;
                delay *= 2;
            }
            result => return result,
        }
    }
    request().await
}

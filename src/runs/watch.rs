//! Waiting for any run to change.

use std::time::Duration;

use tokio::sync::broadcast;

use super::{Change, Runs};

/// How long a watcher of all runs sleeps when nobody in this process announces a change.
const POLL: Duration = Duration::from_secs(1);

impl Runs {
    /// Waits until something may have happened to some run: an announcement, or a short while.
    pub async fn any_changed(&self, changes: &mut broadcast::Receiver<Change>) {
        let announced = async {
            if matches!(changes.recv().await, Err(broadcast::error::RecvError::Closed)) {
                std::future::pending::<()>().await;
            }
        };
        let _elapsed = tokio::time::timeout(POLL, announced).await;
    }
}

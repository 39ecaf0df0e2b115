//! A driver that was replaced by one on another machine: what it still runs must not go on.

use crate::executor::{Executor, Signal};
use crate::worker::driver::Driver;

impl<E: Executor> Driver<'_, E> {
    /// Stops and removes the containers of this driver, unless its successor works in the same state folder
    /// and has adopted them. A failure is left to the sweep.
    pub(in crate::worker) async fn stop_what_was_lost(&mut self) {
        self.tasks.shutdown().await;
        let run = self.loaded.row.id.clone();
        let Ok(loaded) = self.worker.parts.runs.load(&run).await else { return };
        let successor = loaded.run.instance();
        if successor.is_empty() || successor == self.worker.settings.instance {
            return;
        }
        let executor = &self.worker.parts.executor;
        let attempts = self.attempts.keys().cloned().collect::<Vec<_>>();
        let ahead = self.look_ahead.names();
        for name in &attempts {
            tracing::warn!(attempt = %name, "the lease was lost; the attempt is ended here");
            if let Err(error) = executor.signal(name, Signal::Kill).await {
                tracing::warn!(attempt = %name, %error, "it could not be killed");
            }
        }
        for name in attempts.iter().chain(&ahead) {
            if let Err(error) = executor.remove(name).await {
                tracing::warn!(attempt = %name, %error, "left to the next sweep");
            }
        }
    }
}

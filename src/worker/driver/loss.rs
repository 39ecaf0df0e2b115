//! A driver that was replaced by one on another machine: what it still runs must not go on.

use std::time::Duration;

use crate::executor::{Executor, Signal};
use crate::model::AttemptName;
use crate::worker::driver::Driver;

/// How often it is asked who has the run: a successor takes the lease a moment before it says so.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

impl<E: Executor> Driver<'_, E> {
    /// The state folder of whoever has taken the run over; empty when that does not get known.
    async fn successor(&self) -> String {
        for _ in 0..TRIES {
            match self.worker.parts.runs.load(&self.loaded.row.id).await {
                Ok(loaded) if loaded.run.epoch() > self.lease.epoch => {
                    return loaded.run.instance().to_owned();
                }
                Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        String::new()
    }

    /// Stops and removes the containers of this driver, unless its successor works in the same state folder
    /// and has adopted them. A failure is left to the sweep.
    pub(in crate::worker) async fn stop_what_was_lost(&mut self) {
        self.tasks.shutdown().await;
        let successor = self.successor().await;
        if successor.is_empty() || successor == self.worker.settings.instance {
            return;
        }
        let attempts: Vec<_> = self.attempts.keys().cloned().collect();
        for name in &attempts {
            self.kill_lost(name).await;
        }
        for name in attempts.iter().chain(&self.look_ahead.names()) {
            if let Err(error) = self.worker.parts.executor.remove(name).await {
                tracing::warn!(attempt = %name, %error, "left to the next sweep");
            }
        }
    }

    async fn kill_lost(&self, name: &AttemptName) {
        tracing::warn!(attempt = %name, "the lease was lost; the attempt is ended here");
        if let Err(error) = self.worker.parts.executor.signal(name, Signal::Kill).await {
            tracing::warn!(attempt = %name, %error, "it could not be killed");
        }
    }
}

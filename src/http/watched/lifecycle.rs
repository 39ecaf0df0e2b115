//! Whether this process takes requests: it says so before it stops, so that whoever sends them sends them
//! elsewhere.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// Where a process is in its life. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    draining: CancellationToken,
    executor: Arc<Mutex<Option<String>>>,
}

impl Lifecycle {
    /// From now on the process is about to stop.
    pub fn begin_drain(&self) {
        self.draining.cancel();
    }

    /// Whether it is.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// What runs stages answers (`None`), or does not.
    pub fn note_executor(&self, problem: Option<String>) {
        *self.executor.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Why what runs stages cannot be used.
    #[must_use]
    pub fn executor_problem(&self) -> Option<String> {
        self.executor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends when the process is about to stop: streams, for instance, end with it.
    #[must_use]
    pub fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }
}

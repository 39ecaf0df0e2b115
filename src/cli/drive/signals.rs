//! Signals of the terminal and of whoever started this process.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// SIGINT: end the run; a second time: at once.
    Cancel,
    /// SIGTERM or SIGHUP: leave, and let the run be resumed later.
    Leave,
}

/// Listens for signals.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Starts to listen; from now on no signal ends the process by itself.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Asked::Cancel,
            Some(()) = self.terminate.recv() => Asked::Leave,
            Some(()) = self.hang_up.recv() => Asked::Leave,
            else => std::future::pending().await,
        }
    }
}
